//! What there is: images, containers and the like, who needs them, and when they were used last.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::Settings;
use super::choose::{Decision, Thing, Verdict};
use super::pattern::canonical;
use crate::engine::{
    self, CacheRecord, Container, Engine, Event, Inherited, Network, OWNER_LABEL, StoredImage, Volume,
    answered,
};
use crate::journal::{Fate, JOB_LABEL, Owner, RUN_LABEL};
use crate::store::{self, LastUses, Lease, Store};

/// All that a choice depends on. Lists that no setting asks for are empty.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// When the look began.
    pub now: Timestamp,
    /// The images.
    pub images: Vec<StoredImage>,
    /// The containers, whatever their state.
    pub containers: Vec<Container>,
    /// The ids of those whose owner lives, or the job that he belongs to.
    pub owned: HashSet<String>,
    /// When those ended that were made long enough ago to go, by their ids.
    pub ended: HashMap<String, Timestamp>,
    /// The records of the build cache.
    pub build_cache: Vec<CacheRecord>,
    /// The volumes without a container.
    pub volumes: Vec<Volume>,
    /// The networks that somebody made.
    pub networks: Vec<Network>,
    /// The images that jobs need.
    pub leases: Vec<Lease>,
    /// When images were used last, by their ids, where anything is known but when they were made.
    pub used: HashMap<String, Timestamp>,
}

/// What is known of when images were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ages {
    /// The engine's events have been watched for as long as counts.
    Watched,
    /// Images are known, and some of their uses.
    Known {
        /// Since when.
        since: Timestamp,
        /// Since when all of their uses are, where the engine's events are watched.
        watched: Option<Timestamp>,
    },
    /// This is the first look: images of which no use is known are as old as they were made.
    Made,
}

impl Ages {
    /// Where what was not used since `old` is old.
    fn of(since: Option<Timestamp>, watched: Option<Timestamp>, old: Timestamp) -> Self {
        match (since, watched) {
            (_, Some(watched)) if watched <= old => Self::Watched,
            (Some(since), watched) => Self::Known { since, watched },
            (None, _) => Self::Made,
        }
    }
}

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not play along.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The state directory does not play along.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl StoredImage {
    /// How it is called: by its first name, else by its id.
    pub(super) fn shown(&self) -> &str {
        self.names.first().or(self.digests.first()).unwrap_or(&self.id)
    }
}

/// Tools that make the same image twice give it a time in these years (`SOURCE_DATE_EPOCH=0`, the first day of a zip file).
const MEANS_NOTHING_BEFORE: i64 = 11 * 366 * 24 * 60 * 60;

impl Inventory {
    /// Looks at the engine and the store. Nothing is written.
    ///
    /// # Errors
    /// When one of them does not tell.
    pub async fn look(engine: &Engine, store: &Store, settings: &Settings) -> Result<(Self, Ages), Error> {
        let mut inventory = Self { now: Timestamp::now(), ..Self::default() };
        // Leases first: who adds one later has its image re-checked.
        inventory.leases = store.leases()?.list()?;
        let uses = store.last_uses()?;
        let since = uses.since();
        let records = uses.all()?;
        inventory.images = engine.images().await?;
        inventory.containers = engine.containers().await?;
        if settings.containers {
            inventory.look_for_owners(engine).await?;
            inventory.look_for_ends(engine, settings).await?;
        }
        let events = engine.events_since(Timestamp::UNIX_EPOCH).await?;
        if settings.build_cache.is_some() {
            inventory.build_cache = engine.build_cache().await?;
        }
        if settings.volumes {
            inventory.volumes = engine.unused_volumes().await?;
        }
        if settings.networks {
            inventory.networks = engine.networks().await?;
        }
        inventory.used = last_uses(&inventory, &records, since.is_some(), &events);
        let old = inventory.now.checked_sub(settings.older_than).unwrap_or(Timestamp::MIN);
        Ok((inventory, Ages::of(since, uses.watched_since()?, old)))
    }

    /// Finds out which containers are really ours, not by their image's labels only; and whose owner lives.
    async fn look_for_owners(&mut self, engine: &Engine) -> Result<(), Error> {
        let mut inherited = Inherited::new(engine, RUN_LABEL);
        for container in self.containers.iter_mut().filter(|container| container.is_ours) {
            container.is_ours = !inherited.has(&container.image_id, &container.labels).await?;
            let lives = |label: &str| {
                let owner = container.labels.get(label).and_then(|text| text.parse::<Owner>().ok());
                owner.is_some_and(|owner| owner.fate_by_label(false) == Fate::Stays)
            };
            if lives(OWNER_LABEL) || lives(JOB_LABEL) {
                self.owned.insert(container.id.clone());
            }
        }
        Ok(())
    }

    /// The list tells when they were made. One that was made a short while ago has not ended long ago either.
    async fn look_for_ends(&mut self, engine: &Engine, settings: &Settings) -> Result<(), Error> {
        let long_ago = self.now.checked_sub(settings.older_than).unwrap_or(Timestamp::MIN);
        let is_asked = |container: &&Container| {
            container.is_ours && container.has_ended() && container.created <= long_ago
        };
        for container in self.containers.iter().filter(is_asked) {
            let ended = answered(engine.container_end(&container.id).await)?;
            self.ended.extend(ended.map(|ended| (container.id.clone(), ended)));
        }
        Ok(())
    }

    /// Asks when each image that is to go was tagged last, which no list tells: for who only looks. A prune asks right before each
    /// deletion.
    ///
    /// # Errors
    /// When the engine is lost.
    pub async fn look_closer(&mut self, engine: &Engine, decisions: &[Decision]) -> Result<(), Error> {
        for decision in decisions {
            let (Thing::Image(index), Verdict::Goes(_)) = (decision.thing, &decision.verdict) else {
                continue;
            };
            let image = &self.images[index];
            let tagged = answered(engine.image(&image.id).await)?.and_then(|(_, tagged)| tagged);
            let used = tagged.map(|tagged| tagged.max(self.used(image)));
            self.used.extend(used.map(|used| (image.id.clone(), used)));
        }
        Ok(())
    }

    /// Writes down what is known of each image, so that the next look tells which ones have come since; and forgets those
    /// that are gone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember(&self, uses: &LastUses, grace: SignedDuration) -> Result<(), store::Error> {
        let records = uses.all()?;
        let here: HashSet<&str> = self.images.iter().map(|image| &*image.id).collect();
        // What was recorded a moment ago may have come after the look.
        let is_gone = |(id, used): &(&String, &Timestamp)| {
            !here.contains(id.as_str()) && self.now.duration_since(**used) > grace
        };
        // First, since it makes room for the others.
        records.iter().filter(is_gone).try_for_each(|(id, _)| uses.forget(id))?;
        for image in &self.images {
            let used = self.used(image);
            if records.get(&image.id).is_none_or(|&recorded| recorded < used) {
                uses.record(&image.id, used)?;
            }
        }
        uses.begin()
    }

    /// When a container was used last, as far as is known.
    pub(super) fn last_of(&self, container: &Container) -> Timestamp {
        self.ended.get(&container.id).copied().unwrap_or(container.created).min(self.now)
    }

    /// When an image was used last, as far as is known.
    pub fn used(&self, image: &StoredImage) -> Timestamp {
        self.used.get(&image.id).copied().unwrap_or(image.created).min(self.now)
    }
}

/// When images were used last. One that came since the last look was used just now, for all we know; in the first look an
/// image is as old as it was made, but for one without a name or without a time of its own.
fn last_uses(
    inventory: &Inventory,
    records: &HashMap<String, Timestamp>,
    is_known: bool,
    events: &[Event],
) -> HashMap<String, Timestamp> {
    let Inventory { now, images, .. } = inventory;
    let first_seen = |image: &StoredImage| {
        let is_nameless = image.names.is_empty() && image.digests.is_empty();
        if is_known || is_nameless || image.created.as_second() < MEANS_NOTHING_BEFORE {
            *now
        } else {
            image.created
        }
    };
    let mut used: HashMap<String, Timestamp> = HashMap::with_capacity(images.len());
    let mut named: HashMap<String, &str> = HashMap::with_capacity(images.len());
    for image in images {
        let at = records.get(&image.id).copied().unwrap_or_else(|| first_seen(image));
        used.insert(image.id.clone(), at);
        named.extend(image.names.iter().chain(&image.digests).map(|name| (canonical(name), &*image.id)));
    }
    for event in events {
        let image = event.subject.image();
        let id = if used.contains_key(image) { Some(image) } else { named.get(&canonical(image)).copied() };
        if let Some(used) = id.and_then(|id| used.get_mut(id)) {
            *used = event.at.max(*used);
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Subject;

    #[test]
    fn a_watch_counts_that_is_as_long_as_images_stay() {
        let time = |hours: i64| Timestamp::from_second(1_700_000_000 + hours * 3600).unwrap();
        let (since, old) = (time(0), time(10));
        for (first, later) in [(None, time(1)), (Some(since), time(5))] {
            assert_eq!(Ages::of(first, Some(later), old), Ages::Watched);
        }
        assert_eq!(Ages::of(None, Some(time(11)), old), Ages::Made, "the watch has just begun");
        assert_eq!(Ages::of(None, None, old), Ages::Made);
        for watched in [None, Some(time(11))] {
            assert_eq!(Ages::of(Some(since), watched, old), Ages::Known { since, watched });
        }
    }

    #[test]
    fn what_came_since_the_last_look_was_used_just_now() {
        let time = |hours: i64| Timestamp::from_second(1_700_000_000 + hours * 3600).unwrap();
        let image = |id: &str, name: &str, created| StoredImage {
            id: format!("sha256:{id}"),
            parent: None,
            names: if name.is_empty() { vec![] } else { vec![name.into()] },
            digests: vec![],
            created,
            size: 0,
        };
        let images = vec![
            image("known", "a:1", time(0)),
            image("new", "b:1", time(0)),
            image("nameless", "", time(0)),
            image("epoch", "c:1", Timestamp::UNIX_EPOCH),
            image("pulled", "d:latest", time(0)),
        ];
        let inventory = Inventory { now: time(100), images, ..Inventory::default() };
        let records = HashMap::from([("sha256:known".to_owned(), time(7))]);
        let event = |subject: &str| Event { at: time(50), subject: Subject::Image(subject.into()) };
        let hours = |is_known| {
            let events = [event("docker.io/library/d"), event("gone:1"), event("sha256:known")];
            let used = last_uses(&inventory, &records, is_known, &events);
            let hour = |image: &StoredImage| used[&image.id].duration_since(time(0)).as_hours();
            inventory.images.iter().map(hour).collect::<Vec<_>>()
        };
        assert_eq!(hours(false), [50, 0, 100, 100, 50], "the first look");
        assert_eq!(hours(true), [50, 100, 100, 100, 100], "a later one");
    }
}
