//! Recovery on one Docker engine.

use std::collections::HashMap;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::choose::{Task, choose};
use super::report::{Failed, Removed, Report};
use super::{Error, Recovery, names, volumes};
use crate::engine::{Deletion, Engine, Inherited, OWNER_LABEL, OwnedContainer};
use crate::error::with_cause;
use crate::failpoint;
use crate::journal::{EngineAt, Found, Owner, RUN_LABEL, Record, What};
use crate::process::survivors::Inmates;
use crate::store::is_unpredictable;

/// So many removals are asked for at a time: the engine does most of each alone.
const AT_ONCE: usize = 8;

/// Sets one engine right, whose records these are.
pub(super) async fn recover(
    recovery: &Recovery<'_>,
    engine: &Engine,
    place: &EngineAt,
    records: &[&Found],
    report: &mut Report,
) -> Result<(), Error> {
    let of = |is_of: fn(&What) -> bool| {
        let is_of = move |found: &&&Found| found.record.as_ref().is_some_and(|record| is_of(&record.what));
        records.iter().filter(is_of).copied().collect::<Vec<_>>()
    };
    let [of_containers, of_volumes, of_names] = [
        of(|what| matches!(what, What::Container)),
        of(|what| matches!(what, What::Volume(_))),
        of(|what| matches!(what, What::Name(_))),
    ];
    let containers = engine.owned().await?;
    failpoint::reach("recover.listed");
    let tasks = choose(place, &of_containers, containers, recovery.options.is_eager, Timestamp::now());
    failpoint::reach("recover.chosen");
    // A volume is left where something else is, or was: who only looks before a run asks for none without that.
    let may_have_volumes = recovery.options.is_eager || !tasks.is_empty() || !of_volumes.is_empty();
    let gone = gone(engine, &tasks).await;
    // Looked at before anything goes: whoever is still there afterwards has outlived it.
    let inmates =
        Inmates::of(tasks.iter().filter_map(removed).chain(gone.values().flatten().map(String::as_str)));
    let mut inherited = Inherited::new(engine, RUN_LABEL);
    let mut removals = Vec::new();
    for task in tasks {
        match task {
            Task::Stay => report.alive += 1,
            Task::Unknown { container } => report.unknown.push(container.name),
            Task::Later { record } => report.later.push(Failed::of(&record)),
            Task::Forget { name, record } if recovery.is_current(&name, &record)? => {
                if !recovery.options.is_dry_run {
                    for id in gone.get(&name).into_iter().flatten() {
                        report.processes += inmates.kill(id).await;
                    }
                }
                recovery.forget(&name)?;
                report.records += 1;
            }
            Task::Remove { container, record } => {
                match inherited.has(&container.image_id, &container.labels).await {
                    // It has our labels from its image, which was made from one of ours (`docker commit`): it is somebody else's.
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) if error.is_lost() => return Err(error.into()),
                    Err(error) => {
                        fail(recovery, place, container, record, with_cause(&error), report)?;
                        continue;
                    }
                }
                match &record {
                    // Handed over while we looked.
                    Some((name, record)) if !recovery.is_current(name, record)? => report.alive += 1,
                    _ => removals.push((container, record)),
                }
            }
            Task::Forget { .. } => report.alive += 1,
        }
    }
    let remove = |(container, record): (OwnedContainer, Option<(String, Record)>)| async {
        if recovery.is_late() {
            return None;
        }
        let removal = async {
            let bytes = engine.written(&container.id).await;
            let deletion = match recovery.options.is_dry_run {
                true => Deletion::Done,
                false => remove(engine, &container).await?,
            };
            Ok::<_, crate::engine::Error>((deletion, bytes))
        };
        let outcome = recovery.in_time(removal).await;
        Some((container, record, outcome))
    };
    let mut removals = stream::iter(removals).map(remove).buffer_unordered(AT_ONCE);
    while let Some(removal) = removals.next().await {
        let Some((container, record, outcome)) = removal else {
            report.unfinished = true;
            continue;
        };
        match outcome {
            Ok((Deletion::Done | Deletion::Gone, bytes)) => {
                if !recovery.options.is_dry_run {
                    report.processes += inmates.kill(&container.id).await;
                }
                if let Some((name, _)) = record {
                    recovery.forget(&name)?;
                    report.records += 1;
                }
                report.freed += bytes.unwrap_or(0);
                let OwnedContainer { id, name, image, .. } = container;
                report.removed.push(Removed { kind: "container", id, name, image, bytes });
            }
            Ok((Deletion::Refused(reason), _)) | Err(reason) => {
                fail(recovery, place, container, record, reason, report)?;
            }
        }
    }
    // Without those whose containers just went with them.
    if may_have_volumes {
        volumes::recover(recovery, engine, place, &of_volumes, report).await?;
    }
    names::recover(recovery, engine, &of_names, report).await
}

/// The container that a task removes.
fn removed(task: &Task) -> Option<&str> {
    match task {
        Task::Remove { container, .. } => Some(&container.id),
        _ => None,
    }
}

/// The containers that records were about which are gone, by the records' names. A record that says no id is of one that was
/// made in the last moment, if at all: the engine may remember it.
async fn gone(engine: &Engine, tasks: &[Task]) -> HashMap<String, Vec<String>> {
    let mut gone = HashMap::new();
    for task in tasks {
        let Task::Forget { name, record } = task else { continue };
        let ids = match record.id() {
            Some(id) => vec![id.to_owned()],
            // What it does not remember is nobody's to find.
            None => {
                let told = engine.containers_since(RUN_LABEL, name, record.since).await;
                told.unwrap_or_default().into_iter().collect()
            }
        };
        gone.insert(name.clone(), ids);
    }
    gone
}

async fn remove(engine: &Engine, container: &OwnedContainer) -> Result<Deletion, crate::engine::Error> {
    failpoint::reach("recover.removing");
    let deletion = engine.remove(&container.id).await;
    failpoint::reach("recover.removed");
    deletion
}

/// A removal that failed is kept, so what had no record gets one.
fn fail(
    recovery: &Recovery<'_>,
    place: &EngineAt,
    container: OwnedContainer,
    record: Option<(String, Record)>,
    reason: String,
    report: &mut Report,
) -> Result<(), Error> {
    match record.or_else(|| new_record(place, &container)) {
        Some((name, record)) => recovery.fail(&name, record, reason, report),
        None => {
            report.failed.push(Failed { what: container.name, reason, times: 1 });
            Ok(())
        }
    }
}

fn new_record(place: &EngineAt, container: &OwnedContainer) -> Option<(String, Record)> {
    let owner: Owner = container.labels.get(OWNER_LABEL)?.parse().ok()?;
    // A label is others' text; a record's name is what we make up.
    let name = container.labels.get(RUN_LABEL).filter(|name| is_unpredictable(name))?;
    Some((name.clone(), Record::new(place.clone(), owner, &format!("container {}", container.name))))
}
