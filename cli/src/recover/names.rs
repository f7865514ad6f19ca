//! Names of images that killed pulls left.

use jiff::Timestamp;

use super::report::{Failed, Removed, Report};
use super::{Error, Recovery};
use crate::engine::Engine;
use crate::error::with_cause;
use crate::journal::{Fate, Found, Record, What};

/// Takes the names of dead owners from one engine's images, and with the last name the image.
pub(super) async fn recover(
    recovery: &Recovery<'_>,
    engine: &Engine,
    records: &[&Found],
    report: &mut Report,
) -> Result<(), Error> {
    let now = Timestamp::now();
    for found in records {
        let Some(record) = &found.record else { continue };
        let What::Name(name) = &record.what else { continue };
        match record.fate(found.is_held, now) {
            Fate::Stays | Fate::Unknown => report.alive += 1,
            Fate::Goes if record.waits(now) && !recovery.options.is_eager => {
                report.later.push(Failed::of(record));
            }
            Fate::Goes if recovery.is_late() => report.unfinished = true,
            Fate::Goes => remove(recovery, engine, (&found.name, record, name), report).await?,
        }
    }
    Ok(())
}

async fn remove(
    recovery: &Recovery<'_>,
    engine: &Engine,
    (of_record, record, name): (&str, &Record, &str),
    report: &mut Report,
) -> Result<(), Error> {
    let untag = async {
        let id = engine.image_id(name).await?;
        if id.is_some() && !recovery.options.is_dry_run {
            engine.untag(name).await?;
        }
        Ok::<_, crate::engine::Error>(id)
    };
    let id = match untag.await {
        Ok(id) => id,
        Err(error) if error.is_lost() => return Err(error.into()),
        Err(error) => return recovery.fail(of_record, record.clone(), with_cause(&error), report),
    };
    recovery.forget(of_record)?;
    report.records += 1;
    report.removed.extend(id.map(|id| Removed {
        kind: "name",
        image: id.clone(),
        id,
        name: name.to_owned(),
        bytes: None,
    }));
    Ok(())
}
