//! What dead owners left goes; what the living have stays (docs/recovery.md).
//!
//! - [`choose`](choose()): what goes and what stays, pure,
//! - `docker`, `containerd`: how containers go, on one engine; `names`: how names of images do, `volumes`: how theirs do,
//! - [`Report`]: what went.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info};

use crate::engine::containerd::{Containerd, Error as ContainerdError};
use crate::engine::{self, Endpoint, Engine};
use crate::error::{Blame, Explain, with_cause};
use crate::failpoint;
use crate::journal::{EngineAt, Fate, Found, Journal, Record};
use crate::store::{self, Alone};

mod choose;
mod containerd;
mod docker;
mod names;
mod report;
mod volumes;

pub use choose::{Labelled, Task, choose};
pub(crate) use report::often;
pub use report::{Failed, Removed, Report};

/// How a recovery is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Remove nothing, and tell what would be.
    pub is_dry_run: bool,
    /// Try again at once what failed before.
    pub is_eager: bool,
    /// How long to wait for another recovery.
    pub wait: Duration,
    /// How long an engine that only the journal names may take to say who it is.
    pub patience: Duration,
    /// How long all of it is to take, where somebody waits for it: what begins in the first half of that has the second to end.
    pub limit: Option<Duration>,
}

/// Why a recovery could not be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] store::Error),
    /// The engine does not do its part.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// containerd does not do its part.
    #[error(transparent)]
    Containerd(#[from] ContainerdError),
    /// The journal names no place where an engine could be.
    #[error("the record names no engine that could be reached: {0}")]
    Nowhere(String),
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        match self {
            Self::Journal(error) => error.blame(),
            Self::Engine(error) => error.blame(),
            Self::Containerd(error) => error.blame(),
            Self::Nowhere(_) => Blame::Surroundings,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Journal(error) => error.help(),
            Self::Engine(error) => error.help(),
            Self::Containerd(error) => error.help(),
            Self::Nowhere(_) => Vec::new(),
        }
    }
}

/// An engine at hand.
#[derive(Debug, Clone, Copy)]
pub enum Here<'a> {
    /// A docker's, and what the journal calls it.
    Docker {
        /// The engine.
        engine: &'a Engine,
        /// What the journal calls it.
        place: &'a EngineAt,
    },
    /// A containerd, with all its namespaces.
    Containerd {
        /// It, in whichever of them.
        engine: &'a Containerd,
        /// What it calls itself.
        server: &'a str,
    },
}

/// A recovery whose turn it is.
struct Recovery<'a> {
    journal: &'a Journal,
    turn: Alone,
    options: Options,
    begun: Instant,
}

impl Recovery<'_> {
    fn forget(&self, name: &str) -> Result<(), Error> {
        failpoint::reach("recover.forgetting");
        if !self.options.is_dry_run {
            self.journal.forget(name, &self.turn)?;
        }
        failpoint::reach("recover.forgotten");
        Ok(())
    }

    /// Whether it is too late to begin a removal.
    fn is_late(&self) -> bool {
        self.options.limit.is_some_and(|limit| self.begun.elapsed() >= limit / 2)
    }

    /// Tries a removal for as long as one may take; else why there was none.
    async fn in_time<T, E: std::error::Error>(
        &self,
        removal: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        let removed = match self.options.limit.map(|limit| limit / 2) {
            None => removal.await,
            Some(limit) => tokio::time::timeout(limit, removal)
                .await
                .map_err(|_| format!("it did not end within {} s", limit.as_secs_f32()))?,
        };
        removed.map_err(|error| with_cause(&error))
    }

    /// Whether a record still says what it said when its owner was seen to be dead: from then on nobody changes it, but
    /// it may have been handed over to a job before.
    fn is_current(&self, name: &str, record: &Record) -> Result<bool, Error> {
        Ok(self.journal.find(name)?.and_then(|found| found.record).as_ref() == Some(record))
    }

    /// Writes down, and reports, that something could not be removed.
    fn fail(&self, name: &str, record: Record, reason: String, report: &mut Report) -> Result<(), Error> {
        failpoint::reach("recover.failing");
        if !self.options.is_dry_run {
            self.journal.note(name, &record, reason.clone(), &self.turn)?;
        }
        report.failed.push(Failed::of(&record.failed(reason, Timestamp::now())));
        Ok(())
    }
}

/// Sets right what dead owners left: on this engine, if one is given, and on all that the journal names.
///
/// # Errors
/// When the journal cannot be used, or the engine that is given does not play along. Another engine that does not is told
/// in the report.
pub async fn recover(journal: &Journal, here: Option<Here<'_>>, options: Options) -> Result<Report, Error> {
    let span = tracing::info_span!("recover", outcome = Empty, freed_bytes = Empty);
    let mut report = Report::new(options.is_dry_run);
    let attempt = attempt(journal, here, options, &mut report).instrument(span.clone());
    let done = match options.limit {
        None => Some(attempt.await),
        Some(limit) => tokio::time::timeout(limit, attempt).await.ok(),
    };
    report.unfinished |= done.is_none();
    let recovered = done.unwrap_or(Ok(())).map(|()| report);
    span.in_scope(|| record(&span, &recovered));
    recovered
}

/// Tells who watches the host what became of it.
fn record(span: &Span, recovered: &Result<Report, Error>) {
    let outcome = match recovered {
        Ok(report) if report.busy => "busy",
        Ok(report) if report.dry_run => "dry-run",
        Ok(report) if report.unfinished => "unfinished",
        Ok(_) => "done",
        Err(_) => "failed",
    };
    span.record("outcome", outcome);
    if let Ok(report) = recovered
        && !report.dry_run
    {
        span.record("freed_bytes", report.freed);
        report.removed.iter().for_each(|removed| info!(kind = removed.kind, id = removed.id, "removed"));
        report.failed.iter().for_each(|failed| info!(times = failed.times, "failed"));
    }
}

async fn attempt(
    journal: &Journal,
    here: Option<Here<'_>>,
    options: Options,
    report: &mut Report,
) -> Result<(), Error> {
    failpoint::reach("recover.asked");
    let begun = Instant::now();
    let Some(turn) = journal.turn(options.wait).await? else {
        report.busy = true;
        return Ok(());
    };
    failpoint::reach("recover.turn");
    let recovery = Recovery { journal, turn, options, begun };
    if !options.is_dry_run {
        report.files = journal.tidy(&recovery.turn)?;
    }
    failpoint::reach("recover.tidied");
    // Before any engine is asked, which may take until there is no time left.
    if !options.is_dry_run {
        let tidied = store::Store::tidy()?;
        report.leases = tidied.leases;
        report.files += tidied.scratch;
    }
    failpoint::reach("recover.leases");
    let found = journal.list()?;
    let unreadable = found.iter().filter(|found| found.record.is_none() && !found.is_held);
    report.unreadable = unreadable.map(|found| found.name.clone()).collect();
    let of_here =
        || found.iter().filter(|found| here.is_some_and(|here| here.has(found))).collect::<Vec<_>>();
    let recovered_here = match here {
        None => Ok(()),
        Some(Here::Docker { engine, place }) => {
            docker::recover(&recovery, engine, place, &of_here(), report).await
        }
        Some(Here::Containerd { engine, server }) => {
            containerd::recover(&recovery, engine, server, &of_here(), report).await
        }
    };
    for (place, records) in elsewhere(&found, here) {
        if recovery.is_late() {
            report.unfinished = true;
            break;
        }
        if let Some(reason) = waits(&records, options) {
            unreached(&recovery, &records, &reason, report)?;
        } else if let Err(error) = there(&recovery, place, &records, report).await {
            unreached(&recovery, &records, &with_cause(&error), report)?;
        }
    }
    failpoint::reach("recover.done");
    // Whatever became of it, the others had their turn.
    recovered_here
}

impl Here<'_> {
    /// Whether a record's resource is here, by whatever address.
    fn has(&self, found: &Found) -> bool {
        let place = found.record.as_ref().map(|record| &record.place);
        match (self, place) {
            (
                Self::Docker { place: EngineAt::Docker { engine: here, .. }, .. },
                Some(EngineAt::Docker { engine, .. }),
            ) => engine == here,
            (Self::Containerd { server: here, .. }, Some(EngineAt::Containerd { server, .. })) => {
                server == here
            }
            _ => false,
        }
    }
}

/// Whether two records are of one engine at one address. The namespaces of a containerd are recovered together.
fn is_same(one: &EngineAt, other: &EngineAt) -> bool {
    match (one, other) {
        (
            EngineAt::Containerd { address: one_address, server: one, .. },
            EngineAt::Containerd { address: other_address, server: other, .. },
        ) => one_address == other_address && one == other,
        _ => one == other,
    }
}

/// The records of dead owners on other engines, an engine each.
fn elsewhere<'a>(found: &'a [Found], here: Option<Here<'_>>) -> Vec<(&'a EngineAt, Vec<&'a Found>)> {
    let mut places: Vec<(&EngineAt, Vec<&Found>)> = Vec::new();
    for found in found {
        let Some(record) = &found.record else { continue };
        if here.is_some_and(|here| here.has(found)) {
            continue;
        }
        match places.iter_mut().find(|(place, _)| is_same(place, &record.place)) {
            Some((_, records)) => records.push(found),
            None => places.push((&record.place, vec![found])),
        }
    }
    let now = Timestamp::now();
    let is_dead = |found: &&Found| {
        found.record.as_ref().is_some_and(|record| record.fate(found.is_held, now) == Fate::Goes)
    };
    places.retain(|(_, records)| records.iter().any(&is_dead));
    places
}

/// Why an engine that did not answer is not asked yet: what is to go there is to wait, all of it.
fn waits(records: &[&Found], options: Options) -> Option<String> {
    let now = Timestamp::now();
    let dead = records.iter().filter_map(|found| {
        found.record.as_ref().filter(|record| record.fate(found.is_held, now) == Fate::Goes)
    });
    let mut reason = None;
    for record in dead {
        let failure = record.failure.as_ref().filter(|_| record.waits(now) && !options.is_eager)?;
        reason = Some(failure.reason.clone());
    }
    reason
}

/// Sets right an engine that only the journal names.
async fn there(
    recovery: &Recovery<'_>,
    place: &EngineAt,
    records: &[&Found],
    report: &mut Report,
) -> Result<(), Error> {
    let patience = recovery.options.patience;
    match place {
        EngineAt::Docker { address, engine: name } => {
            let endpoint = Endpoint::at(address.clone());
            let look = async {
                let engine = Engine::connect(&endpoint).await?;
                let identity = engine.identity().await?;
                Ok::<_, engine::Error>((engine, identity))
            };
            let looked = tokio::time::timeout(patience, look).await;
            let (engine, identity) =
                looked.unwrap_or_else(|_| Err(engine::Error::Hangs(endpoint.clone())))?;
            if identity != *name {
                return Err(engine::Error::Another(endpoint).into());
            }
            docker::recover(recovery, &engine, place, records, report).await
        }
        EngineAt::Containerd { address, server, namespace } => {
            let nowhere = || Error::Nowhere(address.clone());
            let address = address.parse().map_err(|_| nowhere())?;
            let namespace = namespace.parse().map_err(|_| nowhere())?;
            let look = async {
                let engine = Containerd::connect(&address, &namespace).await?;
                let identity = engine.server().await?;
                Ok::<_, ContainerdError>((engine, identity))
            };
            let looked = tokio::time::timeout(patience, look).await;
            let (engine, identity) =
                looked.unwrap_or_else(|_| Err(ContainerdError::Hangs(address.clone())))?;
            if identity != *server {
                return Err(ContainerdError::Another(address).into());
            }
            containerd::recover(recovery, &engine, server, records, report).await
        }
    }
}

/// What could not even be tried counts as a removal that failed.
fn unreached(
    recovery: &Recovery<'_>,
    records: &[&Found],
    reason: &str,
    report: &mut Report,
) -> Result<(), Error> {
    let now = Timestamp::now();
    for found in records {
        let Some(record) =
            found.record.as_ref().filter(|record| record.fate(found.is_held, now) == Fate::Goes)
        else {
            report.alive += 1;
            continue;
        };
        if record.waits(now) && !recovery.options.is_eager {
            report.later.push(Failed { reason: reason.into(), ..Failed::of(record) });
        } else {
            recovery.fail(&found.name, record.clone(), reason.into(), report)?;
        }
    }
    Ok(())
}
