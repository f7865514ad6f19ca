//! A file's tables into a command's defaults.

use clap::builder::ArgPredicate;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::section::{self, SECTIONS, Section};
use super::{Error, File, Trust, project};

/// Flags for which a default would mean nothing, such as a process of last year, or another thing than all scripts mean.
const MEANINGLESS: [(&str, &str); 7] = [
    ("lease add", "owner"),
    ("lease remove", "all"),
    ("check", "explain"),
    ("lock", "shared"),
    ("lock", "exclusive"),
    ("run containerd", "archive"),
    ("run containerd", "name"),
];

pub(super) fn apply(file: &File, command: Command) -> Result<Command, Error> {
    let document =
        DeTable::parse(&file.text).map_err(|error| Error::toml(file, &error, section::help(file)))?;
    document.get_ref().iter().try_fold(command, |command, (key, value)| {
        let name = key.get_ref().as_ref();
        let wrong = |what: String, help: String| Error::wrong(file, &key.span(), what, help);
        if let Some(section) = Section::of(name, value.get_ref()) {
            return match file.trust {
                Trust::Host => section.check(file, document.get_ref(), value).map(|()| command),
                Trust::Project => Err(wrong(format!("[[{name}]] is not for a project's file"), of_host())),
            };
        }
        match (command.find_subcommand(name).cloned(), value.get_ref()) {
            (Some(sub), DeValue::Table(table)) if !sub.is_hide_set() => {
                let sub = Table { file, path: name.into() }.apply(sub, table)?;
                Ok(command.mut_subcommand(name, |_| sub))
            }
            (_, DeValue::Table(_) | DeValue::Array(_)) => Err(wrong(
                format!("there is no command '{name}' that [{name}] could be for"),
                tables(file, &command),
            )),
            _ => Err(wrong(format!("'{name}' stands in no table"), tables(file, &command))),
        }
    })
}

/// The table of one command.
struct Table<'a> {
    file: &'a File,
    /// The command's name, such as `lease add`.
    path: String,
}

impl Table<'_> {
    fn apply(&self, command: Command, table: &DeTable) -> Result<Command, Error> {
        table.iter().try_fold(command, |command, (key, value)| self.entry(command, key, value))
    }

    fn entry(
        &self,
        command: Command,
        key: &Spanned<std::borrow::Cow<str>>,
        value: &Spanned<DeValue>,
    ) -> Result<Command, Error> {
        let name = key.get_ref().as_ref();
        if let (Some(sub), DeValue::Table(table)) = (command.find_subcommand(name).cloned(), value.get_ref())
        {
            let path = format!("{} {name}", self.path);
            let sub = Table { file: self.file, path }.apply(sub, table)?;
            return Ok(command.mut_subcommand(name, |_| sub));
        }
        let Some(flag) = settable(&self.path, &command).find(|flag| flag.get_long() == Some(name)) else {
            let what = format!("{} has no key '{name}'", self.shown());
            return Err(Error::wrong(self.file, &key.span(), what, self.exists(&command)));
        };
        if self.file.trust == Trust::Project && !project::allowed(&self.path).contains(&name) {
            let what = format!("'{name}' of {} is not for a project's file", self.shown());
            return Err(Error::wrong(self.file, &key.span(), what, of_host()));
        }
        let values = self.values(flag, name, value)?;
        let rivals = rivals(&command, flag);
        let id = flag.get_id().clone();
        Ok(command.mut_arg(id, |flag| with_default(flag, values, rivals)))
    }

    /// The values as the flag itself reads them.
    fn values(&self, flag: &Arg, key: &str, value: &Spanned<DeValue>) -> Result<Vec<String>, Error> {
        let wrong = |what: String| {
            let help = format!("`ci-build {} --help` tells what --{key} takes", self.path);
            Error::wrong(self.file, &value.span(), format!("'{key}' of {}: {what}", self.shown()), help)
        };
        let takes = |what: &str| Err(wrong(format!("it takes {what}, not {}", kind(value.get_ref()))));
        let values = match (value.get_ref(), Takes::of(flag)) {
            (DeValue::Boolean(value), Takes::YesOrNo) => return Ok(vec![value.to_string()]),
            (_, Takes::YesOrNo) => return takes("true or false"),
            (DeValue::Array(items), Takes::List) => {
                match items.iter().map(|item| text(item.get_ref())).collect::<Option<Vec<_>>>() {
                    Some(values) => values,
                    None => return takes("a list of texts and numbers"),
                }
            }
            (value, takes_what) => match (text(value), takes_what) {
                (Some(value), _) => vec![value],
                (None, Takes::List) => return takes("a list, a text or a number"),
                (None, _) => return takes("a text or a number"),
            },
        };
        values.iter().try_for_each(|value| check(flag, value).map_err(wrong))?;
        Ok(values)
    }

    fn shown(&self) -> String {
        format!("[{}]", self.path.replace(' ', "."))
    }

    /// The keys and tables that may stand here.
    fn exists(&self, command: &Command) -> String {
        let keys = settable(&self.path, command).filter_map(Arg::get_long);
        let mut keys: Vec<String> = match self.file.trust {
            Trust::Host => keys.map(String::from).collect(),
            Trust::Project => {
                keys.filter(|key| project::allowed(&self.path).contains(key)).map(String::from).collect()
            }
        };
        keys.extend(
            command
                .get_subcommands()
                .map(|sub| format!("[{}.{}]", self.path.replace(' ', "."), sub.get_name())),
        );
        keys.sort_unstable();
        match keys.is_empty() {
            true => format!("there is nothing to set for `ci-build {}` here", self.path),
            false => format!("{} has {}", self.shown(), keys.join(", ")),
        }
    }
}

/// What a flag takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    YesOrNo,
    One,
    List,
}

impl Takes {
    pub(super) fn of(flag: &Arg) -> Self {
        match flag.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => Self::YesOrNo,
            ArgAction::Append => Self::List,
            _ => Self::One,
        }
    }
}

/// The flags of a command that a file may give a default.
pub(super) fn settable<'a>(path: &'a str, command: &'a Command) -> impl Iterator<Item = &'a Arg> {
    command.get_arguments().filter(move |flag| {
        let long = flag.get_long();
        let is_question = matches!(
            flag.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        let is_meaningless = MEANINGLESS.iter().any(|(of, key)| *of == path && long == Some(*key));
        long.is_some() && !flag.is_hide_set() && !is_question && !is_meaningless
    })
}

/// The flags that cannot be given beside this one, whichever of the two says so. One that has a default itself is always
/// there, so nothing tells that it was given.
fn rivals(command: &Command, flag: &Arg) -> Vec<(clap::Id, ArgPredicate)> {
    let given = |rival: &Arg| match Takes::of(rival) {
        // It is always there, and false unless it was given.
        Takes::YesOrNo => ArgPredicate::Equals("true".into()),
        _ => ArgPredicate::IsPresent,
    };
    let conflicts = |of: &Arg, with: &Arg| {
        command.get_arg_conflicts_with(of).iter().any(|rival| rival.get_id() == with.get_id())
    };
    let tells = |other: &Arg| Takes::of(other) == Takes::YesOrNo || other.get_default_values().is_empty();
    let others = command.get_arguments().filter(|other| other.get_id() != flag.get_id() && tells(other));
    others
        .filter(|other| conflicts(flag, other) || conflicts(other, flag))
        .map(|rival| (rival.get_id().clone(), given(rival)))
        .collect()
}

/// The flag with these values for its default. Where a rival is given, the default is again what it is without files.
fn with_default(flag: Arg, values: Vec<String>, rivals: Vec<(clap::Id, ArgPredicate)>) -> Arg {
    let built_in = flag.get_default_values().first().and_then(|value| value.to_str()).map(leak);
    let built_in = built_in.or((Takes::of(&flag) == Takes::YesOrNo).then_some("false"));
    let flag =
        rivals.into_iter().fold(flag, |flag, (rival, given)| flag.default_value_if(rival, given, built_in));
    flag.required(false).default_values(values.iter().map(|value| leak(value)))
}

/// Clap keeps texts for as long as the program runs; a command line is parsed once.
fn leak(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// Asks the flag's own parser, alone on a command line.
fn check(flag: &Arg, value: &str) -> Result<(), String> {
    let mut alone = Arg::new("value").long("value").value_parser(flag.get_value_parser().clone());
    alone = alone.action(flag.get_action().clone()).value_delimiter(flag.get_value_delimiter());
    let command = Command::new("value").no_binary_name(true).disable_help_flag(true).arg(alone);
    let Err(error) = command.try_get_matches_from([format!("--value={value}")]) else { return Ok(()) };
    let known = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(known)) if !known.is_empty() => Some(known.join(", ")),
        _ => None,
    };
    let why = match (known, std::error::Error::source(&error)) {
        (Some(known), _) => format!(" is none of {known}"),
        (None, Some(source)) => format!(": {source}"),
        (None, None) => " is not taken".into(),
    };
    Err(format!("'{value}'{why}"))
}

/// A value as it would stand on a command line.
fn text(value: &DeValue) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => integer(number),
        DeValue::Float(number) => Some(number.as_str().into()),
        _ => None,
    }
}

fn integer(number: &DeInteger) -> Option<String> {
    i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
}

fn kind(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn of_host() -> String {
    format!("it belongs into {}, or into a file that CI_BUILD_CONFIG names", super::HOST)
}

/// What may stand at the top of a file.
fn tables(file: &File, command: &Command) -> String {
    let mut tables: Vec<String> = match file.trust {
        Trust::Host => {
            let commands = command.get_subcommands().filter(|sub| !sub.is_hide_set());
            let sections = SECTIONS.iter().map(|section| format!("[[{}]]", section.name));
            commands.map(|sub| format!("[{}]", sub.get_name())).chain(sections).collect()
        }
        Trust::Project => project::commands()
            .filter(|path| command.find_subcommand(path.split(' ').next().unwrap_or(path)).is_some())
            .map(|path| format!("[{}]", path.replace(' ', ".")))
            .collect(),
    };
    tables.sort_unstable();
    format!("there is {}", tables.join(", "))
}
