//! docker waits for what will not happen: a container that the engine did not begin to start.
//!
//! With `--rm` docker does not tell that a start was refused before the container is removed (docker/cli, `runContainer`). The engine removes
//! what it could not start; but where it refused to try, or the request was lost on the way, it never does, and docker waits forever.

use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::engine::{Deletion, Engine, OwnedContainer};
use crate::journal::RUN_LABEL;

/// Between two looks at the engine. Two in a row have to find the container as it was made. Most runs end before the first.
const PAUSE: Duration = Duration::from_secs(30);

/// The state of a container that was never started, in the engine's words.
const CREATED: &str = "created";

/// Waits for a docker that runs a container with this value of [`RUN_LABEL`], and sees to it that docker has something to wait for.
pub(crate) fn beside<T>(events: &Runtime, engine: &Engine, run: &str, wait: impl FnOnce() -> T) -> T {
    let (waiting, ended) = oneshot::channel::<()>();
    let watch = async {
        tokio::select! {
            _ = ended => {}
            () = watch(engine, run) => {}
        }
    };
    thread::scope(|scope| {
        // Where there is no thread to be had, docker may hang: `--timeout` and signals end it.
        let _ = thread::Builder::new().spawn_scoped(scope, || events.block_on(watch));
        let outcome = wait();
        drop(waiting);
        outcome
    })
}

/// Looks until the container has been started, or is removed because it was not. It is docker that tells why.
async fn watch(engine: &Engine, run: &str) {
    let mut before = None;
    loop {
        tokio::time::sleep(PAUSE).await;
        // An engine that does not answer is docker's to tell of.
        let Ok(found) = engine.labelled(RUN_LABEL, Some(run)).await else { continue };
        match judge(before.take(), found.into_iter().next()) {
            Verdict::Wait(seen) => before = seen,
            Verdict::Started => return,
            // It is not forced: one that is being started now is refused, and stays.
            Verdict::Stuck(id) => match engine.delete_container(&id, true).await {
                Ok(Deletion::Done | Deletion::Gone) => {
                    let limit = 2 * PAUSE.as_secs();
                    anstream::eprintln!("removed the container: it was made and not started for {limit} s");
                    return;
                }
                Ok(Deletion::Refused(_)) => return,
                Err(_) => {}
            },
        }
    }
}

/// What a look at the engine means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing yet. This container was made and not started.
    Wait(Option<String>),
    /// There is nothing to look for any more.
    Started,
    /// This container was not started since the last look.
    Stuck(String),
}

/// Judges what the engine has, by the container that was made and not started when it was looked at before.
fn judge(before: Option<String>, found: Option<OwnedContainer>) -> Verdict {
    match found {
        // Its image may still be on its way.
        None => Verdict::Wait(None),
        Some(container) if container.state != CREATED => Verdict::Started,
        Some(container) if before.as_ref() == Some(&container.id) => Verdict::Stuck(container.id),
        Some(container) => Verdict::Wait(Some(container.id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, state: &str) -> Option<OwnedContainer> {
        Some(OwnedContainer {
            id: id.into(),
            name: "x".into(),
            image: "x".into(),
            image_id: "sha256:1".into(),
            state: state.into(),
            labels: std::collections::HashMap::new(),
        })
    }

    #[test]
    fn only_what_is_seen_twice_as_it_was_made_is_stuck() {
        let seen = |id: &str| Some(id.to_owned());
        assert_eq!(judge(None, None), Verdict::Wait(None));
        assert_eq!(judge(None, container("1", "created")), Verdict::Wait(seen("1")));
        assert_eq!(judge(seen("1"), container("1", "created")), Verdict::Stuck("1".into()));
        assert_eq!(judge(seen("1"), container("2", "created")), Verdict::Wait(seen("2")));
        assert_eq!(judge(seen("1"), container("1", "running")), Verdict::Started);
        assert_eq!(judge(seen("1"), None), Verdict::Wait(None));
    }
}
