//! What is killed and where, on containerd.

use anyhow::{Result, ensure};

use super::super::killing;
use super::ground::{ARCHIVE, Ground, LIMIT, LONG};
use crate::containerd::IMAGE;

/// A way to be killed.
#[derive(Debug)]
pub struct Scenario {
    /// What people call it.
    pub name: &'static str,
    /// Where it is killed.
    pub places: &'static [&'static str],
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A run that is killed at a place.
    Run(&'static [&'static str]),
    /// A run that is killed at any moment.
    Anytime,
    /// A recovery of a killed run that is killed at a place.
    Recovery,
    /// A recovery whose removal fails, killed at a place.
    FailingRecovery,
    /// A run that is killed, and then a recovery on the next boot.
    Reboot,
}

/// A run that ends by itself.
pub(super) const ENDS: &[&str] = &[IMAGE, "true"];
/// A run that unpacks what containerd does not have, and takes it away again.
pub(super) const UNPACKS: &[&str] = &["--archive", ARCHIVE, "--", "true"];
/// A run that is ended.
pub(super) const IS_STOPPED: &[&str] = &["--timeout", LIMIT, "--grace", "500ms", IMAGE, "sleep", LONG];
/// A run that goes on until somebody ends it.
pub(super) const RUNS_ON: &[&str] = &[IMAGE, "sleep", LONG];

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "run",
        places: &[
            "run.asked",
            "recover.asked",
            "recover.turn",
            "recover.tidied",
            "recover.listed",
            "recover.chosen",
            "recover.leases",
            "recover.done",
            "run.recovered",
            "run.locked",
            "journal.adding",
            "journal.added",
            "run.intended",
            "containerd.leased",
            "journal.changing",
            "journal.changed",
            "containerd.prepared",
            "containerd.contained",
            "containerd.piped",
            "containerd.tasked",
            "run.started",
            "run.ended",
            "run.removing",
            "containerd.clearing",
            "containerd.task-gone",
            "containerd.processes-gone",
            "containerd.container-gone",
            "containerd.snapshots-gone",
            "containerd.lease-gone",
            "run.removed",
            "journal.forgetting",
            "run.forgotten",
        ],
        way: Way::Run(ENDS),
    },
    Scenario {
        name: "run of an archive",
        places: &[
            "containerd.writing",
            "containerd.written",
            "containerd.unpacking",
            "containerd.applied",
            "containerd.unpacked",
            "containerd.prepared",
            "containerd.snapshots-gone",
        ],
        way: Way::Run(UNPACKS),
    },
    Scenario {
        name: "run that is stopped",
        places: &["run.stopping", "run.stopped", "run.ended", "containerd.clearing"],
        way: Way::Run(IS_STOPPED),
    },
    Scenario { name: "run that goes on", places: &["run.started"], way: Way::Run(RUNS_ON) },
    Scenario { name: "run", places: &["any moment"], way: Way::Anytime },
    Scenario {
        name: "recover",
        places: &[
            "recover.asked",
            "recover.turn",
            "recover.tidied",
            "recover.listed",
            "recover.chosen",
            "recover.removing",
            "containerd.clearing",
            "containerd.task-gone",
            "containerd.processes-gone",
            "containerd.container-gone",
            "containerd.snapshots-gone",
            "containerd.lease-gone",
            "recover.removed",
            "recover.forgetting",
            "recover.forgotten",
            "recover.leases",
            "recover.done",
        ],
        way: Way::Recovery,
    },
    Scenario { name: "recover that fails", places: &["recover.failing"], way: Way::FailingRecovery },
    Scenario { name: "run", places: &["and then the next boot"], way: Way::Reboot },
];

impl Scenario {
    /// Plays it once, killed at this place; whether it was.
    ///
    /// # Errors
    /// When something else happens than what is played.
    pub fn play(&self, ground: &Ground, place: &str, time: u32) -> Result<bool> {
        match self.way {
            Way::Run(words) => killing::at(place, &mut ground.run(words)),
            Way::Anytime => killing::anytime(|| ground.run(ENDS), time),
            Way::Recovery => {
                ground.leave()?;
                killing::at(place, &mut ground.quiet(ground.stage.ours(&["recover"])))
            }
            Way::FailingRecovery => {
                ground.leave()?;
                let mut recover = ground.quiet(ground.stage.ours(&["recover"]));
                // Who it is, its namespaces, the leases, the containers, and then the removal.
                killing::at(place, recover.env("CI_BUILD_TEST_FAIL_CALL", "5"))
            }
            Way::Reboot => {
                ground.leave()?;
                let mut recover = ground.quiet(ground.stage.ours(&["recover"]));
                let status = recover.env("CI_BUILD_TEST_BOOT", "the-next").status()?;
                ensure!(status.success(), "a recovery on the next boot ended {status}");
                ensure!(ground.stage.records()?.len() == ground.alive(), "what the last boot left is there");
                Ok(true)
            }
        }
    }
}
