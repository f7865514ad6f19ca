//! The frontend with a plan of its own: whatever is mounted inside a shared cache gets its mountpoint from a primer. The
//! engine tests see by it what a primer does, whatever the policies choose.

use std::process::ExitCode;

use ci_build_frontend::gateway;
use ci_build_frontend::graph::{BuildGraph, MountRef, Sharing};
use ci_build_frontend::plan::{Plan, Primer};

fn main() -> ExitCode {
    gateway::run(async |client, options| gateway::build_planned(client, options, primed).await)
}

/// All shared caches, before all their users.
fn primed(graph: &BuildGraph) -> Plan {
    let mut primer = Primer::default();
    for (step, of) in graph.steps() {
        let shared = of.caches().filter(|(_, _, cache)| cache.sharing == Sharing::Shared);
        let mounts: Vec<_> = shared.map(|(mount, ..)| MountRef { step, mount }).collect();
        if !mounts.is_empty() {
            primer.before.push(step);
        }
        primer.mounts.extend(mounts);
    }
    let primer = (!primer.mounts.is_empty()).then_some(primer);
    Plan { primer, ..Plan::default() }
}
