//! Deletes what was chosen, one by one. Right before each, under a lock that keeps new leases away for that moment, the
//! rules are asked once more of what there is by then.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::choose::{Cause, Decision, Reason, Thing, Verdict};
use super::disk::Pressure;
use super::inventory::Error;
use super::judge::{Facts, Rules, is_for};
use super::pattern::canonical;
use super::{Inventory, Limits, Settings, names};
use crate::disk::Space;
use crate::engine::{Deletion, Engine, StoredImage};
use crate::error::with_cause;
use crate::store::{ExclusiveGuard, LastUses, Leases, Patience, Quiet, Store};

/// What those see who wait for the lock that a record of build cache is deleted under.
const CACHE_ALONE: &str = "ci-build prune --build-cache";

const NO_PATIENCE: Patience = Patience { wait: Duration::ZERO, polite: Duration::ZERO };

/// What became of a thing that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is deleted, for this cause: it may be another one than that it was chosen for.
    Deleted(Cause),
    /// Somebody else deleted it.
    Gone,
    /// It stays after all.
    Stays(Reason),
    /// The engine did not delete it, and says why.
    Failed(String),
}

/// The engine's disk and how full it may be.
#[derive(Debug, Clone)]
pub struct Room {
    /// A directory on it; none where it cannot be seen from here.
    pub directory: Option<PathBuf>,
    /// How full it may be.
    pub limits: Limits,
}

impl Room {
    /// The disk as it is now, where it can be seen.
    pub fn disk(&self) -> Option<Space> {
        Space::of(self.directory.as_ref()?).ok()
    }

    /// What there is too little of.
    pub fn pressure(&self) -> Pressure {
        self.disk().map(|disk| self.limits.pressure(disk)).unwrap_or_default()
    }

    fn is_made(&self, pressure: Pressure) -> bool {
        self.disk().is_none_or(|disk| self.limits.is_relieved(pressure, disk))
    }
}

/// Deletes what was chosen from one engine.
#[derive(Debug)]
pub struct Executor<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// What was chosen from.
    pub inventory: &'a Inventory,
    /// What may be deleted.
    pub settings: &'a Settings,
    /// The disk that room is made on.
    pub room: &'a Room,
    /// What there was too little of at first.
    pub pressure: Pressure,
    /// How long is waited for others who add leases or delete an image.
    pub wait: Duration,
    /// Whether build cache is deleted only while nobody else uses the store.
    pub is_fragile: bool,
    store: &'a Store,
    is_store_in_use: Cell<bool>,
    leases: Leases,
    uses: LastUses,
    recent: RefCell<Recent>,
    /// The images that are made from an image, by its id.
    children: HashMap<&'a str, Vec<usize>>,
}

/// What the engine told of since the look.
#[derive(Debug)]
struct Recent {
    until: Timestamp,
    /// Names and ids of images that were used.
    images: HashSet<String>,
}

impl<'a> Executor<'a> {
    /// An executor that makes room of what there is too little of.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn new(
        engine: &'a Engine,
        store: &'a Store,
        inventory: &'a Inventory,
        settings: &'a Settings,
        room: &'a Room,
        pressure: Pressure,
    ) -> Result<Self, Error> {
        let mut children: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, image) in inventory.images.iter().enumerate() {
            if let Some(parent) = &image.parent {
                children.entry(parent).or_default().push(index);
            }
        }
        let (leases, uses) = (store.leases()?, store.last_uses()?);
        let wait = Duration::from_secs(60);
        let recent = RefCell::new(Recent { until: inventory.now, images: HashSet::new() });
        Ok(Self {
            engine,
            inventory,
            settings,
            room,
            pressure,
            wait,
            is_fragile: false,
            store,
            is_store_in_use: Cell::new(false),
            leases,
            uses,
            recent,
            children,
        })
    }

    /// Deletes one after the other what goes, and tells of each.
    ///
    /// # Errors
    /// When the engine is lost or the state directory does not play along: then the rest is not tried. What was told of is
    /// as it was told.
    pub async fn run(
        &self,
        decisions: &[Decision],
        mut tell: impl FnMut(&Decision, Outcome),
    ) -> Result<(), Error> {
        let mut deleted = HashSet::new();
        for decision in decisions {
            let Verdict::Goes(cause) = decision.verdict else { continue };
            let outcome = if self.is_enough(cause) {
                Outcome::Stays(Reason::Room)
            } else {
                match self.delete(decision, cause, &deleted).await {
                    // An engine that stumbles over one thing may do another.
                    Err(Error::Engine(error)) if !error.is_lost() => Outcome::Failed(with_cause(&error)),
                    outcome => outcome?,
                }
            };
            if matches!(outcome, Outcome::Deleted(_) | Outcome::Gone) {
                deleted.insert(decision.thing);
            }
            tell(decision, outcome);
        }
        Ok(())
    }

    /// Whether the disk, for whose sake alone a thing would go, has room again.
    fn is_enough(&self, cause: Cause) -> bool {
        cause == Cause::Pressure && self.room.is_made(self.pressure)
    }

    async fn delete(
        &self,
        decision: &Decision,
        cause: Cause,
        deleted: &HashSet<Thing>,
    ) -> Result<Outcome, Error> {
        let Inventory { containers, images, build_cache, volumes, networks, .. } = self.inventory;
        let engine = self.engine;
        let outcome = match decision.thing {
            Thing::Image(index) => return self.image(&images[index], decision, deleted).await,
            Thing::Container(index) => return self.container(&containers[index].id).await,
            Thing::Cache(index) => {
                let _guard = match self.cache_guard() {
                    Ok(guard) => guard,
                    Err(reason) => return Ok(Outcome::Stays(reason)),
                };
                match engine.delete_cache_record(&build_cache[index].id).await {
                    // A build has taken it up, or its result lies upon it.
                    Ok(Deletion::Refused(_)) => return Ok(Outcome::Stays(Reason::InUse)),
                    outcome => outcome,
                }
            }
            Thing::Volume(index) => engine.delete_volume(&volumes[index].name).await,
            Thing::Network(index) => engine.delete_network(&networks[index].id).await,
        };
        outcome_of(outcome, cause)
    }

    /// What one record of build cache is deleted under, if anything. Once somebody uses the store, it is not asked for again.
    fn cache_guard(&self) -> Result<Option<ExclusiveGuard<'_>>, Reason> {
        if !self.is_fragile {
            return Ok(None);
        }
        let alone = || self.store.exclude(CACHE_ALONE, NO_PATIENCE, |_| ()).ok();
        let guard = if self.is_store_in_use.get() { None } else { alone() };
        self.is_store_in_use.set(guard.is_none());
        guard.map(Some).ok_or(Reason::StoreInUse)
    }

    async fn container(&self, id: &str) -> Result<Outcome, Error> {
        let Some(ended) = self.engine.container_end(id).await? else {
            return Ok(Outcome::Stays(Reason::InUse));
        };
        match self.rules().unpressed().age(ended) {
            Verdict::Stays(reason) => Ok(Outcome::Stays(reason)),
            Verdict::Goes(cause) => {
                outcome_of(self.engine.delete_container(id, self.settings.volumes).await, cause)
            }
        }
    }

    fn rules(&self) -> Rules<'_> {
        Rules { settings: self.settings, now: Timestamp::now(), is_pressed: self.pressure.is_any() }
    }

    async fn image(
        &self,
        listed: &StoredImage,
        decision: &Decision,
        deleted: &HashSet<Thing>,
    ) -> Result<Outcome, Error> {
        let _quiet = Quiet::for_deletion(&self.leases, self.wait).await?;
        let Some((image, tagged)) = self.engine.image(&listed.id).await? else { return Ok(Outcome::Gone) };
        if let Some(name) = names::new_name(listed, &image) {
            return Ok(Outcome::Stays(Reason::Renamed(name.into())));
        }
        let is_used = self.is_used_since_the_look(&image).await?;
        let leases = self.leases.list()?;
        // An engine that is to delete an image looks for containers itself, but not when it is to take one of several names. To
        // ask is dear where it has containerd's image store: it looks through all images (`daemon/containerd/image_children.go`).
        let has_several = names::references(&image).len() > 1;
        let container = if has_several { self.engine.container_of(&image.id).await? } else { None };
        let children = self.children.get(&*image.id).map(Vec::as_slice).unwrap_or_default();
        let child = children.iter().find(|&&child| !deleted.contains(&Thing::Image(child)));
        let rules = self.rules();
        let used = [self.uses.of(&image.id), tagged, is_used.then_some(rules.now)];
        let verdict = rules.image(&Facts {
            image: &image,
            used: used.into_iter().flatten().fold(decision.used, Timestamp::max),
            lease: leases.iter().find(|lease| is_for(lease, &image)),
            container: container.as_ref(),
            child: child.map(|&child| self.inventory.images[child].shown()),
            is_parent: !children.is_empty(),
        });
        let cause = match verdict {
            Verdict::Stays(reason) => return Ok(Outcome::Stays(reason)),
            // It was used since the time that it was chosen by, and only the disk asks for it now.
            Verdict::Goes(cause) if self.is_enough(cause) => return Ok(Outcome::Stays(Reason::Room)),
            Verdict::Goes(cause) => cause,
        };
        let outcome = outcome_of(names::delete(self.engine, image).await, cause)?;
        if !has_several
            && matches!(outcome, Outcome::Failed(_))
            && let Some(container) = self.engine.container_of(&listed.id).await?
        {
            return Ok(Outcome::Stays(Reason::of(&container)));
        }
        if matches!(outcome, Outcome::Deleted(_) | Outcome::Gone) {
            self.uses.forget(&listed.id)?;
        }
        Ok(outcome)
    }

    /// Whether the engine told of a use since we looked at all of it.
    async fn is_used_since_the_look(&self, image: &StoredImage) -> Result<bool, Error> {
        let (since, now) = (self.recent.borrow().until, Timestamp::now());
        let events = self.engine.events_since(since).await?;
        let mut recent = self.recent.borrow_mut();
        recent.until = now;
        recent.images.extend(events.into_iter().map(|event| canonical(event.subject.image())));
        let mut names = image.names.iter().chain(&image.digests).map(|name| canonical(name));
        Ok(recent.images.contains(&canonical(&image.id)) || names.any(|name| recent.images.contains(&name)))
    }
}

fn outcome_of(deletion: Result<Deletion, crate::engine::Error>, cause: Cause) -> Result<Outcome, Error> {
    match deletion {
        Ok(Deletion::Done) => Ok(Outcome::Deleted(cause)),
        Ok(Deletion::Gone) => Ok(Outcome::Gone),
        Ok(Deletion::Refused(message)) => Ok(Outcome::Failed(message)),
        Err(error) => Err(error.into()),
    }
}
