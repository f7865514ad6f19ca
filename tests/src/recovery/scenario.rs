//! Ways to be killed, as data; and how each is played.

use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::images::BUSYBOX;
use xtask::poll;

use super::ground::{Ground, LIMIT, LONG, PATIENCE};
use super::killing::{self, AT, is_killed, known};
use super::moments;

/// A way to be killed.
#[derive(Debug)]
pub struct Scenario {
    /// What people call it.
    pub name: &'static str,
    places: &'static [&'static str],
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A run that is killed at a place.
    Run(&'static [&'static str]),
    /// A run that is killed at a place, and whose job ends then.
    Job(&'static [&'static str]),
    /// A run that is killed at any moment.
    RunAnytime,
    /// A build that is killed at a place.
    Build,
    /// A build that is killed at any moment.
    BuildAnytime,
    /// A recovery of a killed run that is killed at a place.
    Recovery,
    /// A recovery whose removal fails, killed at a place.
    FailingRecovery,
    /// A run one of whose calls to the engine fails.
    FailingCall,
    /// A run that is killed, and then a recovery on the next boot.
    Reboot,
}

/// A run that ends by itself.
pub(super) const ENDS: &[&str] = &["run", "-v", "/anonymous", BUSYBOX, "true"];
/// A run that is ended.
pub(super) const IS_STOPPED: &[&str] = &[
    "run",
    "-v",
    "/anonymous",
    "--timeout",
    LIMIT,
    "--grace",
    "1s",
    "--sig-proxy=false",
    BUSYBOX,
    "sleep",
    LONG,
];
/// A run that goes on when it has ended.
pub(super) const IS_DETACHED: &[&str] = &["run", "-d", "-v", "/anonymous", BUSYBOX, "sleep", LONG];

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
            "run.leased",
            "journal.adding",
            "journal.added",
            "run.intended",
            "run.started",
            "run.ended",
            "run.found",
            "journal.forgetting",
        ],
        way: Way::Run(ENDS),
    },
    Scenario {
        name: "run that is stopped",
        places: &[
            "run.ended",
            "run.found",
            "journal.changing",
            "journal.changed",
            "run.stopping",
            "run.stopped",
            "run.removing",
            "run.removed",
            "journal.forgetting",
            "run.forgotten",
        ],
        way: Way::Run(IS_STOPPED),
    },
    Scenario {
        name: "detached run",
        places: &["run.ended", "run.found", "journal.changed"],
        way: Way::Run(IS_DETACHED),
    },
    Scenario {
        name: "detached run of a job",
        places: &["run.handing-over", "run.handed-over"],
        way: Way::Job(IS_DETACHED),
    },
    Scenario { name: "run", places: &["any moment"], way: Way::RunAnytime },
    Scenario {
        name: "build",
        places: &[
            "build.asked",
            "recover.leases",
            "build.recovered",
            "build.locked",
            "build.scratch",
            "build.providing",
            "build.provided",
            "build.prepared",
            "build.started",
            "build.ended",
            "build.leasing",
            "build.leased",
        ],
        way: Way::Build,
    },
    Scenario { name: "build", places: &["any moment"], way: Way::BuildAnytime },
    Scenario {
        name: "recover",
        places: &[
            "recover.asked",
            "recover.turn",
            "recover.tidied",
            "recover.listed",
            "recover.chosen",
            "recover.removing",
            "recover.removed",
            "recover.forgetting",
            "recover.forgotten",
            "recover.leases",
            "recover.done",
        ],
        way: Way::Recovery,
    },
    Scenario { name: "recover that fails", places: &["recover.failing"], way: Way::FailingRecovery },
    Scenario { name: "run, the Nth call fails", places: &["1 to 8"], way: Way::FailingCall },
    Scenario { name: "run", places: &["and then the next boot"], way: Way::Reboot },
];

impl Scenario {
    /// Where it is killed.
    pub fn places(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.places.iter().copied()
    }

    /// How often it is to be played to have come to each of its moments once.
    #[must_use]
    pub fn moments(&self) -> u32 {
        match self.way {
            Way::Run(_) | Way::Job(_) | Way::Build | Way::Recovery | Way::FailingRecovery | Way::Reboot => 1,
            Way::RunAnytime | Way::BuildAnytime => moments::MOMENTS,
            Way::FailingCall => 6,
        }
    }

    /// Plays it once, killed at this place; whether it was.
    ///
    /// # Errors
    /// When something else happens than what is played.
    pub fn play(&self, ground: &Ground, place: &str, time: u32) -> Result<bool> {
        match self.way {
            Way::Run(words) => killing::at(place, &mut ground.ours(words)),
            Way::Job(words) => {
                // Told by the shell that is the job.
                Ok(ground.job(words).env(AT, known(place)?).status()?.code() == Some(137))
            }
            Way::RunAnytime => killing::anytime(|| ground.ours(ENDS), time),
            Way::Build => {
                if place.starts_with("build.provid") {
                    ground.forget_frontend()?;
                }
                // Told by the shell that is its job.
                Ok(ground.build("true")?.env(AT, known(place)?).status()?.code() == Some(137))
            }
            Way::BuildAnytime => {
                ground.forget_frontend()?;
                let mut job = ground.build(&format!("sleep {}", ground.long()))?.spawn()?;
                std::thread::sleep(Duration::from_millis(u64::from(time % self.moments()) * 150));
                // It ends by nothing else.
                let killed = poll::until(PATIENCE, || Ok(ground.kill_build()?.then_some(())))?;
                job.wait()?;
                Ok(killed.is_some())
            }
            Way::Recovery => {
                ground.leave()?;
                killing::at(place, &mut ground.ours(&["recover"]))
            }
            Way::FailingRecovery => {
                ground.leave()?;
                // The list, the image's labels, the sizes, and then the removal.
                let mut recover = ground.ours(&["recover"]);
                killing::at(place, recover.env("CI_BUILD_TEST_FAIL_CALL", "4"))
            }
            Way::FailingCall => {
                let call = (time % self.moments() + 1).to_string();
                let status = ground.ours(IS_STOPPED).env("CI_BUILD_TEST_FAIL_CALL", call).status()?;
                ensure!(!is_killed(status), "nobody killed it");
                Ok(true)
            }
            Way::Reboot => {
                ground.leave()?;
                let status = ground.ours(&["recover"]).env("CI_BUILD_TEST_BOOT", "the-next").status()?;
                ensure!(status.success(), "a recovery on the next boot ended {status}");
                ensure!(ground.records()? == ground.alive(), "what the last boot left is there");
                Ok(true)
            }
        }
    }
}
