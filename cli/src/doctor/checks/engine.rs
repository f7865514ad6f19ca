//! Whether an engine answers, and which.

use crate::doctor::{Check, Facts, Finding, version};

/// The oldest one that is tested.
const OLDEST: (u64, u64, u64) = (20, 10, 0);

pub(in crate::doctor) const CHECK: Check = Check {
    name: "engine",
    about: "The engine that docker would use answers in time, has an identity, and is not older than 20.10, the oldest that is tested.",
    look,
};

fn look(facts: &Facts) -> Finding {
    let info = match &facts.engine {
        Ok(info) => info,
        Err(failure) => {
            let help: Vec<_> = failure.help().iter().map(String::as_str).collect();
            return Finding::wrong(failure.message(), &help);
        }
    };
    let containerd = info.component("containerd").unwrap_or("unknown");
    let found = format!("Docker {}, containerd {containerd}", info.version);
    match version::parse(&info.version) {
        Some(version) if version < OLDEST => {
            Finding::wrong(found, &["update the engine: 20.10 is the oldest that ci-build is tested with"])
        }
        _ if info.id.is_none() => Finding::wrong(
            format!("{found}, without an identity"),
            &["name the store with --store or CI_BUILD_STORE, the same for all who use the engine"],
        ),
        _ => Finding::fine(found),
    }
}
