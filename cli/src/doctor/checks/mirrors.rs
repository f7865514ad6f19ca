//! The mirrors that pulls ask first.

use bytesize::ByteSize;

use crate::doctor::{Check, Facts, Finding, State};
use crate::registry::{Examination, Limits, Mirror};

pub(in crate::doctor) const CHECK: Check = Check {
    name: "mirrors",
    about: "Each mirror that is configured answers within `--first-byte` and, where it tells what it has, sends at least \
        `--floor` in a second; how many pulls it still allows.",
    look,
};

const ADVICE: &str = "[[mirror]] in /etc/ci-build.toml, or CI_BUILD_MIRROR, names it; pulls go past it at the price of these limits";

fn look(facts: &Facts) -> Finding {
    let mirrors = match &facts.mirrors {
        Err(failure) => return Finding::wrong(failure.to_string().lines().next().unwrap_or_default(), &[]),
        Ok(mirrors) if mirrors.is_empty() => return Finding::fine("none is configured"),
        Ok(mirrors) => mirrors,
    };
    let told: Vec<(bool, String)> = mirrors
        .iter()
        .map(|(mirror, seen)| match seen {
            Ok(seen) => judge(mirror, seen, facts.mirror_limits),
            Err(failure) => (false, format!("{}: {failure}", mirror.url)),
        })
        .collect();
    let found: Vec<&str> = told.iter().map(|(_, line)| line.as_str()).collect();
    let found = found.join("; ");
    if told.iter().all(|(is_fine, _)| *is_fine) {
        Finding::fine(found)
    } else {
        Finding { state: State::Wrong, ..Finding::note(found, &[ADVICE]) }
    }
}

/// Whether it is quick enough, and what to tell.
fn judge(mirror: &Mirror, seen: &Examination, limits: Limits) -> (bool, String) {
    let floor = mirror.limits(limits).floor;
    let rate = |rate: u64| format!("{}/s", ByteSize(rate).display().iec());
    let mut line = format!("{} answers in {} ms", mirror.url, seen.latency.as_millis());
    let is_fine = match seen.rate {
        Some(seen) if seen < floor => {
            line += &format!(", {}, below {}", rate(seen), rate(floor));
            false
        }
        Some(seen) => {
            line += &format!(", {}", rate(seen));
            true
        }
        None => {
            line += ", does not tell what it has";
            true
        }
    };
    if let Some(allowance) = seen.allowance {
        line += &format!(", {} pulls left", allowance.left);
    }
    (is_fine, line)
}
