//! What is no flag: arrays of tables, such as `[[mirror]]`.

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{Error, File};
use crate::registry::Mirror;

/// An array of tables that is no command's.
pub(super) struct Section {
    /// What it is called.
    pub(super) name: &'static str,
    /// What it is called too: a command has the name, and TOML lets no table of the command stand beside an array of that name.
    also: &'static str,
    /// Whether it is as its readers have it.
    check: fn(&File, &Spanned<DeValue>) -> Result<(), Error>,
}

/// All sections. Who adds one describes it on docs/configuration.md's generator too.
pub(super) static SECTIONS: [Section; 1] = [Section {
    name: "mirror",
    also: "mirrors",
    check: |file, value| items::<Mirror>(file, value.clone()).map(drop),
}];

impl Section {
    /// The section, if this is one and not the table of a command that has the same name.
    pub(super) fn of(name: &str, value: &DeValue) -> Option<&'static Self> {
        SECTIONS.iter().find(|section| section.has(name, value))
    }

    fn has(&self, name: &str, value: &DeValue) -> bool {
        (name == self.name || name == self.also) && value.is_array()
    }

    /// Refuses what none of its readers takes, whichever command is run; and what would be passed over in silence.
    pub(super) fn check(
        &self,
        file: &File,
        document: &DeTable,
        value: &Spanned<DeValue>,
    ) -> Result<(), Error> {
        let of_it = document.iter().filter(|(key, value)| self.has(key.get_ref(), value.get_ref()));
        if of_it.count() > 1 {
            let Self { name, also, .. } = self;
            let what = format!("[[{name}]] and [[{also}]] are the same, and stand both in this file");
            return Err(Error::wrong(file, &value.span(), what, "call all of them by one name"));
        }
        (self.check)(file, value)
    }
}

/// What to do about a text that is no TOML.
pub(super) fn help(file: &File) -> String {
    let stands = |line: &str| file.text.lines().any(|other| other.trim() == line);
    let both = |section: &&Section| {
        stands(&format!("[{}]", section.name)) && stands(&format!("[[{}]]", section.name))
    };
    SECTIONS.iter().find(both).map_or_else(
        || "write it as TOML".into(),
        |Section { name, also, .. }| format!("beside [{name}] write [[{also}]] for [[{name}]]"),
    )
}

pub(super) fn read<T: DeserializeOwned>(files: &[File], name: &str) -> Result<Vec<T>, Error> {
    for file in files.iter().rev() {
        let document = DeTable::parse(&file.text).map_err(|error| Error::toml(file, &error, help(file)))?;
        let is_it =
            |key: &str, value: &DeValue| Section::of(key, value).is_some_and(|section| section.name == name);
        let found =
            document.into_inner().into_iter().find(|(key, value)| is_it(key.get_ref(), value.get_ref()));
        if let Some((_, value)) = found {
            return items(file, value);
        }
    }
    Ok(Vec::new())
}

fn items<T: DeserializeOwned>(file: &File, value: Spanned<DeValue>) -> Result<Vec<T>, Error> {
    Vec::<T>::deserialize(ValueDeserializer::from(value))
        .map_err(|error| Error::toml(file, &error, "docs/configuration.md tells what stands there"))
}
