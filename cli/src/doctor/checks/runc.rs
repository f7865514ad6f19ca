//! A runc that loses the race for a mountpoint.

use crate::doctor::{Check, Facts, Finding, version};

pub(in crate::doctor) const CHECK: Check = Check {
    name: "runc",
    about: "runc is none of 1.2.0 to 1.2.2: steps that run at once and make one mountpoint in a shared cache fail there with \
        `mkdirat …: file exists` ([NestedMountpointRace](rules/NestedMountpointRace.md)).",
    look,
};

fn look(facts: &Facts) -> Finding {
    let Ok(info) = &facts.engine else { return Finding::no_engine() };
    let Some(found) = info.component("runc") else {
        return Finding::unknown("the engine does not tell which runc it uses");
    };
    match version::parse(found) {
        None => Finding::unknown(format!("runc {found}")),
        Some(version) if ((1, 2, 0)..=(1, 2, 2)).contains(&version) => Finding::wrong(
            format!("runc {found} fails when two steps make one mountpoint at once"),
            &[
                "update runc to 1.2.3 or later",
                "until then build with policy=auto or prime, which make mountpoints beforehand",
            ],
        ),
        Some(_) => Finding::fine(format!("runc {found}")),
    }
}
