//! Anonymous volumes whose container is gone: that of an engine that was killed while it made or removed it.

use jiff::Timestamp;

use super::choose::{Task, choose};
use super::report::{Failed, Removed, Report};
use super::{Error, Recovery};
use crate::engine::{Deletion, Engine, OwnedVolume};

/// Removes one engine's volumes of dead owners that no container has. They have no records: the labels tell all.
pub(super) async fn recover(
    recovery: &Recovery<'_>,
    engine: &Engine,
    report: &mut Report,
) -> Result<(), Error> {
    let volumes = engine.owned_volumes().await?;
    // Without a record nothing has failed before that could be tried again later.
    let is_eager = true;
    for task in choose(&[], volumes, is_eager, Timestamp::now()) {
        if recovery.is_late() {
            report.unfinished = true;
            break;
        }
        // Those of the living stay, and those of whom nobody here can tell.
        let Task::Remove { container: OwnedVolume { name, .. }, .. } = task else { continue };
        let deletion = match recovery.options.is_dry_run {
            true => Deletion::Done,
            false => engine.delete_volume(&name).await?,
        };
        match deletion {
            Deletion::Done => report.removed.push(Removed {
                kind: "volume",
                id: name.clone(),
                name,
                image: String::new(),
                bytes: None,
            }),
            Deletion::Gone => {}
            Deletion::Refused(reason) => report.failed.push(Failed { what: name, reason, times: 1 }),
        }
    }
    Ok(())
}
