//! Anonymous volumes whose container is gone: that of an engine that was killed while it made or removed it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::choose::{Task, choose};
use super::report::{Failed, Removed, Report};
use super::{Error, Recovery};
use crate::engine::{Deletion, Engine, OWNER_LABEL, OwnedVolume};
use crate::error::with_cause;
use crate::journal::{EngineAt, Found, Owner, Record, What};

/// Removes one engine's volumes of dead owners that no container has. Their labels tell whose they are; only one that could not be
/// removed has a record.
pub(super) async fn recover(
    recovery: &Recovery<'_>,
    engine: &Engine,
    place: &EngineAt,
    records: &[&Found],
    report: &mut Report,
) -> Result<(), Error> {
    let (now, is_eager) = (Timestamp::now(), true);
    let volumes = match engine.owned_volumes().await {
        Ok(volumes) => volumes,
        Err(error) if error.is_lost() => return Err(error.into()),
        Err(error) => {
            report.failed.push(Failed {
                what: "containers that are gone".into(),
                reason: with_cause(&error),
                times: 1,
            });
            return Ok(());
        }
    };
    let mut records: HashMap<_, _> = records.iter().filter_map(|found| of_volume(found)).collect();
    for task in choose(place, &[], volumes, is_eager, now) {
        // Those of the living stay, and those of whom nobody here can tell.
        let Task::Remove { container: volume, .. } = task else { continue };
        let record = records.remove(volume.name.as_str());
        if let Some((_, record)) =
            record.filter(|(_, record)| record.waits(now) && !recovery.options.is_eager)
        {
            report.later.push(Failed::of(record));
        } else if recovery.is_late() {
            report.unfinished = true;
        } else {
            remove(recovery, engine, place, volume, record, report).await?;
        }
    }
    // What they are about is gone, or a container has it again.
    for (name, _) in records.into_values() {
        recovery.forget(name)?;
        report.records += 1;
    }
    Ok(())
}

/// The volume that a record is about; the record's name, and what it says.
fn of_volume(found: &Found) -> Option<(&str, (&str, &Record))> {
    let record = found.record.as_ref()?;
    let What::Volume(volume) = &record.what else { return None };
    Some((volume, (&found.name, record)))
}

async fn remove(
    recovery: &Recovery<'_>,
    engine: &Engine,
    place: &EngineAt,
    OwnedVolume { name: volume, labels }: OwnedVolume,
    record: Option<(&str, &Record)>,
    report: &mut Report,
) -> Result<(), Error> {
    let deletion = match recovery.options.is_dry_run {
        true => Ok(Deletion::Done),
        false => recovery.in_time(engine.delete_volume(&volume)).await,
    };
    let reason = match deletion {
        Ok(Deletion::Refused(reason)) | Err(reason) => reason,
        Ok(deletion) => {
            if let Some((name, _)) = record {
                recovery.forget(name)?;
                report.records += 1;
            }
            if deletion == Deletion::Done {
                let (id, image) = (volume.clone(), String::new());
                report.removed.push(Removed { kind: "volume", id, name: volume, image, bytes: None });
            }
            return Ok(());
        }
    };
    if let Some((name, record)) = record {
        return recovery.fail(name, record.clone(), reason, report);
    }
    let Some(owner) = labels.get(OWNER_LABEL).and_then(|owner| owner.parse::<Owner>().ok()) else {
        report.failed.push(Failed { what: volume, reason, times: 1 });
        return Ok(());
    };
    // A removal that failed is kept, so what had no record gets one.
    let short: String = volume.chars().take(12).collect();
    let record = Record::new(place.clone(), owner, &format!("volume {short}")).of_volume(&volume);
    let name = recovery.journal.intend(record.clone())?.name().to_owned();
    recovery.fail(&name, record, reason, report)
}
