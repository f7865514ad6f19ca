//! What drives builds.

use crate::doctor::{Check, Facts, Finding, version};

/// The oldest one that is tested.
const OLDEST: (u64, u64, u64) = (0, 13, 0);

pub(in crate::doctor) const CHECK: Check = Check {
    name: "buildx",
    about: "`docker buildx` is there, and not older than 0.13, the oldest that is tested. It is a note where not: only `ci-build build` \
        needs it.",
    look,
};

fn look(facts: &Facts) -> Finding {
    match &facts.buildx {
        Err(why) => Finding::note(
            why.as_str(),
            &[
                "`ci-build build` needs docker with its plugin buildx, as the packages docker-cli and docker-buildx have them",
            ],
        ),
        Ok(found) => match version::parse(found) {
            Some(version) if version < OLDEST => Finding::note(
                format!("buildx {found}"),
                &["update it: 0.13 is the oldest that ci-build is tested with"],
            ),
            _ => Finding::fine(format!("buildx {found}")),
        },
    }
}
