//! What is no flag: arrays of tables, such as `[[mirror]]`.

use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{Error, File};

/// The names of all sections. Who adds one describes it on docs/configuration.md's generator too.
pub(super) const SECTIONS: [&str; 1] = ["mirror"];

/// Whether this is a section, not the table of a command that has the same name.
pub(super) fn is_section(name: &str, value: &DeValue) -> bool {
    SECTIONS.contains(&name) && value.is_array()
}

pub(super) fn read<T: DeserializeOwned>(files: &[File], name: &str) -> Result<Vec<T>, Error> {
    for file in files.iter().rev() {
        let document =
            DeTable::parse(&file.text).map_err(|error| Error::toml(file, &error, "write it as TOML"))?;
        let found = document
            .into_inner()
            .into_iter()
            .find(|(key, value)| key.get_ref() == name && is_section(name, value.get_ref()));
        if let Some((_, value)) = found {
            let help = || format!("docs/configuration.md tells what stands in [[{name}]]");
            return Vec::<T>::deserialize(ValueDeserializer::from(value))
                .map_err(|error| Error::toml(file, &error, help()));
        }
    }
    Ok(Vec::new())
}
