//! Steps that outlived their builds.

use crate::doctor::steps::Left;
use crate::doctor::{Check, Facts, Finding, State};

pub(in crate::doctor) const CHECK: Check = Check {
    name: "steps",
    about: "No step of a build still runs after the runc that ran it, or the engine, was killed; and none has left its mounts. It is asked \
        of runc's records and of the mounts of this host, which only root sees.",
    look,
};

fn look(facts: &Facts) -> Finding {
    let left = match &facts.steps {
        None => return super::unseen(facts),
        Some(Err(why)) => return Finding::unknown(format!("cannot look at runc's records: {why}")),
        Some(Ok(left)) if left.is_empty() => return Finding::fine("no step has outlived its build"),
        Some(Ok(left)) => left,
    };
    let told: Vec<String> = left.iter().map(told).collect();
    let runs = left.iter().any(|left| left.pid.is_some());
    let state = if runs { State::Wrong } else { State::Note };
    Finding { state, found: told.join("; "), advice: left.iter().flat_map(advice).collect() }
}

fn told(Left { id, pid, .. }: &Left) -> String {
    match pid {
        Some(pid) => format!("the step {id} of a build that has ended still runs, as process {pid}"),
        None => format!("the step {id} has ended, and is still mounted"),
    }
}

fn advice(Left { id, pid, mounts }: &Left) -> Vec<String> {
    let runs = pid.map(|_| format!("`runc delete --force {id}` ends it"));
    let mounts = mounts.iter().map(|point| format!("`umount {}`", point.display()));
    runs.into_iter().chain(mounts).collect()
}
