//! Recovery on one containerd, in all its namespaces.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::choose::{Labelled, Task, choose};
use super::report::{Failed, Removed, Report};
use super::{Error, Recovery};
use crate::engine::OWNER_LABEL;
use crate::engine::containerd::{Collection, Containerd, Labels};
use crate::failpoint;
use crate::journal::{EngineAt, Found, Owner, RUN_LABEL, Record};
use crate::run::containerd::names::Names;
use crate::run::containerd::remove::{self, Cleared, Remains, shims};
use crate::store::is_unpredictable;

/// So many removals are asked for at a time: containerd does most of each alone.
const AT_ONCE: usize = 8;

/// What one run left in a namespace: all that has its label.
#[derive(Debug, Clone)]
struct Left {
    names: Names,
    labels: Labels,
    /// The id that its container has, or would have.
    container: String,
    /// The image of its container, where that was made.
    image: Option<String>,
}

impl Labelled for Left {
    fn labels(&self) -> &HashMap<String, String> {
        &self.labels
    }
}

impl Left {
    /// What a record tells of, where nothing has its label.
    fn of_record(name: &str, record: &Record) -> Self {
        let names = Names::of(name);
        let container = record.id().map_or_else(|| names.id(), str::to_owned);
        Self { names, labels: Labels::new(), container, image: None }
    }
}

/// Something that goes.
struct Removal {
    left: Left,
    record: Option<(String, Record)>,
    /// Whether containerd has something of it.
    is_there: bool,
}

/// Sets one containerd right, whose records these are.
pub(super) async fn recover(
    recovery: &Recovery<'_>,
    engine: &Containerd,
    server: &str,
    records: &[&Found],
    report: &mut Report,
) -> Result<(), Error> {
    let mut namespaces: BTreeMap<String, Vec<&Found>> = BTreeMap::new();
    for namespace in engine.namespaces().await? {
        namespaces.entry(namespace.to_string()).or_default();
    }
    for found in records {
        // One without anything in it is none that containerd lists.
        if let Some(EngineAt::Containerd { namespace, .. }) =
            found.record.as_ref().map(|record| &record.place)
        {
            namespaces.entry(namespace.clone()).or_default().push(found);
        }
    }
    for (name, records) in namespaces {
        let namespace = name.parse().map_err(|_| Error::Nowhere(name.clone()))?;
        let place = EngineAt::Containerd {
            address: engine.address().to_string(),
            server: server.into(),
            namespace: name,
        };
        in_namespace(recovery, &engine.in_namespace(&namespace), &place, &records, report).await?;
    }
    Ok(())
}

async fn in_namespace(
    recovery: &Recovery<'_>,
    engine: &Containerd,
    place: &EngineAt,
    records: &[&Found],
    report: &mut Report,
) -> Result<(), Error> {
    let left = list(engine).await?;
    failpoint::reach("recover.listed");
    let tasks = choose(place, records, left, recovery.options.is_eager, Timestamp::now());
    failpoint::reach("recover.chosen");
    let mut removals = Vec::new();
    for task in tasks {
        match task {
            Task::Stay => report.alive += 1,
            Task::Unknown { container } => report.unknown.push(container.container),
            Task::Later { record } => report.later.push(Failed::of(&record)),
            // Nothing has its label; its processes may be there all the same.
            Task::Forget { name, record } if recovery.is_current(&name, &record)? => {
                let left = Left::of_record(&name, &record);
                removals.push(Removal { left, record: Some((name, record)), is_there: false });
            }
            Task::Remove { container: left, record: Some((name, record)) }
                if recovery.is_current(&name, &record)? =>
            {
                removals.push(Removal { left, record: Some((name, record)), is_there: true });
            }
            Task::Remove { container: left, record: None } => {
                removals.push(Removal { left, record: None, is_there: true });
            }
            // Changed while we looked.
            Task::Forget { .. } | Task::Remove { .. } => report.alive += 1,
        }
    }
    let is_dry_run = recovery.options.is_dry_run;
    let clear = |removal: Removal| async {
        if recovery.is_late() {
            return None;
        }
        let cleared = match is_dry_run {
            true => recovery.in_time(remains(engine, &removal.left).measure()).await,
            false => recovery.in_time(clear(engine, &removal.left)).await,
        };
        Some((removal, cleared))
    };
    let mut gone = Vec::new();
    let mut release = async |(removal, cleared): (Removal, Cleared), collection, report: &mut Report| {
        let outcome = match is_dry_run {
            true => Ok(()),
            false => recovery.in_time(release(engine, &removal.left, collection)).await,
        };
        if outcome.is_ok() && !is_dry_run {
            gone.push((removal.left.names.clone(), removal.left.container.clone()));
        }
        settle(recovery, place, removal, outcome.map(|()| cleared), report)
    };
    // What the leases held comes free with the last that goes, so one is kept back: containerd looks through all that it has
    // each time.
    let mut last = None;
    let mut cleared = stream::iter(removals).map(clear).buffer_unordered(AT_ONCE);
    while let Some(cleared) = cleared.next().await {
        match cleared {
            None => report.unfinished = true,
            Some((removal, Ok(cleared))) => {
                if let Some(earlier) = last.replace((removal, cleared)) {
                    release(earlier, Collection::Later, report).await?;
                }
            }
            Some((removal, Err(reason))) => settle(recovery, place, removal, Err(reason), report)?,
        }
    }
    if let Some(last) = last {
        release(last, Collection::Now, report).await?;
    }
    report.processes +=
        shims(engine, gone.iter().map(|(names, container)| (names, container.as_str()))).end();
    Ok(())
}

/// All that has our labels, by the run that it is of. A label alone may be copied, from an image say: what counts is that a
/// lease is called, or a container's snapshot is, as only we call it.
async fn list(engine: &Containerd) -> Result<Vec<Left>, Error> {
    let mut found: BTreeMap<String, Left> = BTreeMap::new();
    for lease in engine.leases_with(RUN_LABEL).await? {
        let Some(run) = lease.labels.get(RUN_LABEL).filter(|run| is_unpredictable(run)) else { continue };
        let names = Names::of(run);
        if lease.id == names.id() {
            let left = Left { container: names.id(), names, labels: lease.labels.clone(), image: None };
            found.insert(run.clone(), left);
        }
    }
    for container in engine.containers_with(RUN_LABEL).await? {
        let Some(run) = container.labels.get(RUN_LABEL).filter(|run| is_unpredictable(run)) else { continue };
        let names = Names::of(run);
        if container.snapshot == names.id() {
            let (image, labels) = (Some(container.image.clone()), container.labels.clone());
            found.insert(run.clone(), Left { names, labels, container: container.id.clone(), image });
        }
    }
    Ok(found.into_values().collect())
}

async fn clear(engine: &Containerd, left: &Left) -> Result<Cleared, remove::Error> {
    failpoint::reach("recover.removing");
    remains(engine, left).clear(true).await
}

async fn release(engine: &Containerd, left: &Left, collection: Collection) -> Result<(), remove::Error> {
    let released = remains(engine, left).release(collection).await;
    failpoint::reach("recover.removed");
    released
}

fn remains<'a>(engine: &'a Containerd, left: &'a Left) -> Remains<'a> {
    Remains { engine, names: &left.names, container: &left.container }
}

/// Writes down what became of it.
fn settle(
    recovery: &Recovery<'_>,
    place: &EngineAt,
    removal: Removal,
    outcome: Result<Cleared, String>,
    report: &mut Report,
) -> Result<(), Error> {
    let Removal { left, record, is_there } = removal;
    match outcome {
        Ok(Cleared { bytes, survivors }) => {
            report.processes += survivors;
            if let Some((name, _)) = record {
                recovery.forget(&name)?;
                report.records += 1;
            }
            if is_there {
                report.freed += bytes.unwrap_or(0);
                let kind = if left.image.is_some() { "container" } else { "lease" };
                let (id, image) = (left.names.run().to_owned(), left.image.unwrap_or_default());
                report.removed.push(Removed { kind, id, name: left.container, image, bytes });
            }
        }
        Err(reason) => {
            // A removal that failed is kept, so what had no record gets one.
            let Some((name, record)) = record.or_else(|| new_record(place, &left)) else {
                report.failed.push(Failed { what: left.container, reason, times: 1 });
                return Ok(());
            };
            recovery.fail(&name, record, reason, report)?;
        }
    }
    Ok(())
}

fn new_record(place: &EngineAt, left: &Left) -> Option<(String, Record)> {
    let owner: Owner = left.labels.get(OWNER_LABEL)?.parse().ok()?;
    let record = Record::new(place.clone(), owner, &format!("container {}", left.container));
    Some((left.names.run().to_owned(), record))
}
