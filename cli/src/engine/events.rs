//! What happens in an engine: the uses of its images.

use std::collections::BTreeSet;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::{Stream, TryStreamExt as _};
use jiff::Timestamp;

use super::owned::injected;
use super::{Engine, Error};

/// What container events tell of a use of the image. `exec` and health checks, of which there are many, are left out.
const OF_CONTAINERS: [&str; 6] = ["create", "start", "restart", "die", "destroy", "commit"];

/// What image events tell of a use. To untag or to delete is none.
const OF_IMAGES: [&str; 8] = ["pull", "push", "tag", "load", "import", "save", "create", "build"];

/// One use of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Which image.
    pub subject: Subject,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An image, by its id or by one of its names.
    Image(String),
    /// A container, by its id, and its image as it was named when the container was made.
    Container {
        /// Its id.
        id: String,
        /// Its image's name or id.
        image: String,
    },
}

impl Subject {
    /// The image's id or name.
    pub fn image(&self) -> &str {
        match self {
            Self::Image(image) | Self::Container { image, .. } => image,
        }
    }
}

impl Engine {
    /// The uses since then that the engine still knows of: it keeps its last 256 events, and none over its restart.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn events_since(&self, since: Timestamp) -> Result<Vec<Event>, Error> {
        let until = Some(self.by_its_clock(Timestamp::now()));
        let events = self.stream(self.by_its_clock(since), until).try_collect();
        let events: Vec<Option<Event>> = self.in_time(events, "tell what happened").await?;
        let by_ours =
            |event: Event| Event { at: event.at.saturating_sub(self.ahead).unwrap_or(event.at), ..event };
        Ok(events.into_iter().flatten().map(by_ours).collect())
    }

    /// The ids of the containers with this label that the engine has told of since then: of those, too, that are gone. It
    /// remembers as much as in [`Engine::events_since`].
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn containers_since(
        &self,
        label: &str,
        value: &str,
        since: Timestamp,
    ) -> Result<BTreeSet<String>, Error> {
        let filters = [
            ("type".into(), vec!["container".into()]),
            ("event".into(), vec!["create".into(), "start".into()]),
            ("label".into(), vec![format!("{label}={value}")]),
        ];
        let (since, until) = (Some(seconds(since)), Some(seconds(Timestamp::now())));
        let options = EventsOptions { since, until, filters: Some(filters.into()) };
        let events = async {
            injected()?;
            self.docker.events(Some(options)).try_collect::<Vec<_>>().await
        };
        let events = self.in_time(events, "tell what happened").await?;
        Ok(events.into_iter().filter_map(|message| message.actor?.id).collect())
    }

    /// An engine waits for a time that is yet to come by its clock before it ends an answer (moby `getEvents`), and has nothing to
    /// tell of it.
    fn by_its_clock(&self, ours: Timestamp) -> Timestamp {
        ours.saturating_add(self.ahead).unwrap_or(ours).max(Timestamp::UNIX_EPOCH)
    }

    /// The uses from then on, as they happen. It ends with the engine.
    pub fn follow(&self, since: Timestamp) -> impl Stream<Item = Result<Option<Event>, Error>> {
        self.stream(since, None).map_err(|source| self.refused("tell what happens", source))
    }

    fn stream(
        &self,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> impl Stream<Item = Result<Option<Event>, bollard::errors::Error>> {
        let filters = Some([("type".into(), vec!["image".into(), "container".into()])].into());
        let options = EventsOptions { since: Some(seconds(since)), until: until.map(seconds), filters };
        self.docker.events(Some(options)).map_ok(event)
    }
}

fn seconds(time: Timestamp) -> String {
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())
}

/// None where an event is no use of an image.
fn event(message: EventMessage) -> Option<Event> {
    let actor = message.actor?;
    let action = message.action?;
    // "exec_start: sh" and the like have more after a colon.
    let action = action.split(':').next().unwrap_or_default();
    let id = actor.id.filter(|id| !id.is_empty())?;
    let subject = match message.typ? {
        EventMessageTypeEnum::IMAGE if OF_IMAGES.contains(&action) => Subject::Image(id),
        EventMessageTypeEnum::CONTAINER if OF_CONTAINERS.contains(&action) => {
            Subject::Container { id, image: actor.attributes?.remove("image")? }
        }
        _ => return None,
    };
    let at = message.time_nano.and_then(|time| Timestamp::from_nanosecond(time.into()).ok());
    Some(Event { at: at?, subject })
}
