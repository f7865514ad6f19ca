//! What an instruction's arguments must be: BuildKit's second look (`instructions.ParseInstruction`), one file a family.

mod command;
mod copy;
mod from;
mod single;
mod variables;

use super::error::Fault;
use super::flags::{self, RawFlag};
use super::form::Form;
use super::instruction::{Body, Keyword};
use super::lines::Logical;
use super::part::Part;

/// An instruction of which the parts are known.
#[derive(Debug)]
pub(super) struct Arguments<'a, 'source> {
    pub(super) keyword: Keyword,
    /// Where the keyword stands.
    pub(super) word: Part<'a>,
    pub(super) flags: &'a [RawFlag<'a>],
    pub(super) form: Form<'a>,
    /// What stands behind the flags.
    pub(super) rest: Part<'a>,
    /// All of the instruction.
    pub(super) logical: &'a Logical<'a, 'source>,
    /// The character that escapes.
    pub(super) escape: char,
}

impl Arguments<'_, '_> {
    /// A fault at the first argument, or where it would stand.
    fn fault(&self, message: impl Into<String>) -> Fault {
        if self.rest.is_empty() { self.word.fault(message) } else { self.rest.fault(message) }
    }

    /// That there are too few.
    fn missing(&self, what: &str) -> Fault {
        self.word.fault(format!("{} has no {what}", self.keyword.name()))
    }
}

/// Checks flags and arguments. ONBUILD is not among them, see [`super::parse`].
pub(super) fn check<'source>(arguments: &Arguments<'_, 'source>) -> Result<Body<'source>, Fault> {
    let keyword = arguments.keyword;
    // HEALTHCHECK looks at its kind first, and at flags only where they mean something.
    if keyword != Keyword::Healthcheck {
        flags::check(keyword, arguments.flags)?;
    }
    match keyword {
        Keyword::Add | Keyword::Copy => copy::check(arguments),
        Keyword::Arg => variables::arg(arguments),
        Keyword::Cmd | Keyword::Entrypoint => Ok(Body::Other),
        Keyword::Env | Keyword::Label => variables::env(arguments),
        Keyword::Expose => single::some(arguments, "port"),
        Keyword::From => from::check(arguments),
        Keyword::Healthcheck => command::healthcheck(arguments),
        Keyword::Maintainer => single::some(arguments, "name"),
        Keyword::Onbuild => single::some(arguments, "instruction"),
        Keyword::Run => command::run(arguments),
        Keyword::Shell => command::shell(arguments),
        Keyword::Stopsignal => single::some(arguments, "signal"),
        Keyword::User => single::some(arguments, "user"),
        Keyword::Volume => single::volume(arguments),
        Keyword::Workdir => {
            single::some(arguments, "path")?;
            Ok(Body::Workdir(arguments.rest.text.into()))
        }
    }
}
