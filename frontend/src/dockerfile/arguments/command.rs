//! `RUN`, `SHELL` and `HEALTHCHECK`: commands that are run.

use std::borrow::Cow;

use super::Arguments;
use crate::dockerfile::case;
use crate::dockerfile::device;
use crate::dockerfile::error::Fault;
use crate::dockerfile::flags::{self, RawFlag};
use crate::dockerfile::form::Form;
use crate::dockerfile::instruction::{Body, Text};
use crate::dockerfile::json::Strings;
use crate::dockerfile::{mount, values};

/// The shortest interval that a health check may have, other than none: a millisecond, in nanoseconds.
const MIN_INTERVAL: i64 = 1_000_000;

pub(super) fn run<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    for flag in arguments.flags {
        let value = flag.value.as_deref().unwrap_or_default();
        let fault = |message| Fault { at: flag.at, message, help: None };
        match &flag.name[..] {
            "mount" => {
                mount::parse(value, None)
                    .map_err(|error| Fault { help: error.help, ..fault(error.message) })?;
            }
            "device" => device::check(value).map_err(fault)?,
            "network" if !matches!(value, "default" | "none" | "host") => {
                return Err(fault(format!("unknown network `{value}`"))
                    .with_help("networks are default, none and host"));
            }
            "security" if !matches!(value, "insecure" | "sandbox") => {
                return Err(
                    fault(format!("unknown security `{value}`")).with_help("it is sandbox or insecure")
                );
            }
            _ => {}
        }
    }
    Ok(match &arguments.form {
        Form::Json(words) => Body::Exec(owned(words)),
        _ => Body::Run(arguments.logical.text(arguments.rest)),
    })
}

fn owned(words: &Strings<'_>) -> Box<[Text<'static>]> {
    words.clone().map(|word| Cow::Owned(word.into_owned())).collect()
}

pub(super) fn shell<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    let help = r#"write SHELL ["/bin/sh", "-c"]"#;
    match &arguments.form {
        Form::Json(words) if !words.is_empty() => Ok(Body::Shell(owned(words))),
        Form::Text(text) if !text.is_empty() => Err(text.fault("SHELL takes a JSON array").with_help(help)),
        _ => Err(arguments.missing("command").with_help(help)),
    }
}

pub(super) fn healthcheck<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    let Form::Kind(kind, command) = &arguments.form else { return Ok(Body::Other) };
    if kind.is_empty() {
        return Err(arguments.missing("command").with_help("write HEALTHCHECK CMD … or HEALTHCHECK NONE"));
    }
    let is_empty = match &**command {
        Form::Json(words) => words.is_empty(),
        Form::Text(text) => text.is_empty(),
        _ => true,
    };
    if case::upper_is(kind.text, "NONE") {
        if is_empty {
            return Ok(Body::Other);
        }
        return Err(kind.fault("HEALTHCHECK NONE takes no arguments"));
    }
    flags::check(arguments.keyword, arguments.flags)?;
    if !case::upper_is(kind.text, "CMD") {
        return Err(kind
            .fault(format!("unknown kind of HEALTHCHECK `{}`", kind.text))
            .with_help("write HEALTHCHECK CMD … or HEALTHCHECK NONE"));
    }
    if is_empty {
        return Err(kind.fault("HEALTHCHECK CMD has no command"));
    }
    arguments.flags.iter().try_for_each(healthcheck_flag)?;
    Ok(Body::Other)
}

fn healthcheck_flag(flag: &RawFlag<'_>) -> Result<(), Fault> {
    let (name, value) = (&flag.name, flag.value.as_deref().unwrap_or_default());
    if value.is_empty() {
        return Ok(());
    }
    if name == "retries" {
        return match value.parse::<i32>() {
            Ok(0..) => Ok(()),
            _ => Err(Fault::new(flag.at, format!("--retries is no count: `{value}`"))),
        };
    }
    match values::duration(value) {
        Some(0 | MIN_INTERVAL..) => Ok(()),
        Some(_) => Err(Fault::new(flag.at, format!("--{name} is shorter than a millisecond: `{value}`"))),
        None => Err(Fault::new(flag.at, format!("--{name} is no duration: `{value}`"))
            .with_help("write it like 30s, 1.5m or 1h30m")),
    }
}
