//! Keeps records of when images are used, from the engine's events, over restarts of the engine.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};

use crate::engine::{self, Endpoint, Engine, Event, Subject, answered};
use crate::store::{self, Identity, LastUses, Store};

/// After the engine was lost the next try comes after this long, and each one after twice as long,
const SOON: Duration = Duration::from_millis(100);

/// but no longer than this.
const LATE: Duration = Duration::from_secs(5);

/// An event is told a moment after it happened, so those of this time before the last one are asked for again.
const OVERLAP: SignedDuration = SignedDuration::from_secs(2);

/// What is said meanwhile.
#[derive(Debug)]
pub enum Notice {
    /// Events are followed from now on.
    Follows,
    /// The engine does not answer any more, or has ended.
    Lost(String),
}

/// Follows the engine's events for as long as this process lives.
///
/// # Errors
/// When the records cannot be written. An engine that is lost is none.
pub async fn run(
    endpoint: &Endpoint,
    store: &Store,
    uses: &LastUses,
    mut tell: impl FnMut(Notice),
) -> Result<(), store::Error> {
    let mut pause = SOON;
    let mut is_told = false;
    loop {
        let why = match connect(endpoint, store).await {
            Ok(engine) => {
                let lost = follow(&engine, uses, || tell(Notice::Follows)).await;
                (pause, is_told) = (SOON, false);
                match lost {
                    Err(Error::Store(error)) => return Err(error),
                    Err(Error::Engine(error)) => error.to_string(),
                    Ok(()) => "it ended".into(),
                }
            }
            Err(error) => error,
        };
        if !std::mem::replace(&mut is_told, true) {
            tell(Notice::Lost(why));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LATE);
    }
}

enum Error {
    Engine(engine::Error),
    Store(store::Error),
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// The engine at the address, if it is still the same one.
async fn connect(endpoint: &Endpoint, store: &Store) -> Result<Engine, String> {
    let engine = Engine::connect(endpoint).await.map_err(|error| error.to_string())?;
    if let Identity::Docker(id) = store.identity() {
        let found = engine.identity().await.map_err(|error| error.to_string())?;
        if found != *id {
            return Err(format!("another engine is there, {found}"));
        }
    }
    Ok(engine)
}

async fn follow(engine: &Engine, uses: &LastUses, begin: impl FnOnce()) -> Result<(), Error> {
    let now = Timestamp::now();
    // Whatever happened while nobody watched, the engine may still know; and what runs is used.
    let since = uses.watched_until().map_or(now, |until| until.saturating_sub(OVERLAP).unwrap_or(until));
    let mut events = pin!(engine.follow(since.min(now)));
    for container in engine.containers().await? {
        if matches!(container.state.as_str(), "running" | "paused" | "restarting") {
            uses.record(&container.image_id, now)?;
        }
    }
    // They are asked for by the first look at them; nothing is lost by that, since it is known from when on.
    uses.begin_watch()?;
    begin();
    while let Some(event) = events.try_next().await? {
        let Some(event) = event else { continue };
        if let Some(id) = image_of(engine, &event).await? {
            uses.record(&id, event.at)?;
        }
        uses.set_watched_until(event.at)?;
    }
    Ok(())
}

/// The id of the image that an event is about; none where it is gone already.
async fn image_of(engine: &Engine, event: &Event) -> Result<Option<String>, engine::Error> {
    match &event.subject {
        Subject::Image(id) if id.starts_with("sha256:") => Ok(Some(id.clone())),
        Subject::Image(name) => answered(engine.image_id(name).await),
        // Its image's name may be another image's by now.
        Subject::Container { id, image } => match answered(engine.image_of(id).await)? {
            Some(image) => Ok(Some(image)),
            None => answered(engine.image_id(image).await),
        },
    }
}
