//! Whether builds find the frontend.

use crate::doctor::{Check, Facts, Finding};

pub(in crate::doctor) const CHECK: Check = Check {
    name: "frontend",
    about: "The engine has the frontend's image, under the name that this version of ci-build gives it. It is a note where not: `ci-build frontend \
        install` brings it.",
    look,
};

fn look(facts: &Facts) -> Finding {
    match &facts.frontend {
        Some((name, true)) => Finding::fine(format!("{name} is installed")),
        Some((name, false)) => {
            Finding::note(format!("{name} is not installed"), &["`ci-build frontend install` brings it"])
        }
        None if facts.engine.is_err() => Finding::no_engine(),
        None => Finding::unknown("the engine does not tell whether it has the image"),
    }
}
