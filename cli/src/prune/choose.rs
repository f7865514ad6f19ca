//! What goes and what stays, and why: a pure function of what there is.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::judge::{Facts, Rules};
use super::lineage::children_first;
use super::pattern::canonical;
use super::{CacheSettings, Inventory, Settings};
use crate::engine::{CacheRecord, Container, StoredImage};

/// One thing of an inventory, by its place in the list there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thing {
    /// A container.
    Container(usize),
    /// An image.
    Image(usize),
    /// A record of the build cache.
    Cache(usize),
    /// A volume.
    Volume(usize),
    /// A network.
    Network(usize),
}

/// What is to become of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which thing.
    pub thing: Thing,
    /// When it was used last, as far as is known. What is made from it counts too.
    pub used: Timestamp,
    /// What is to become of it.
    pub verdict: Verdict,
}

/// Whether a thing goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be deleted.
    Goes(Cause),
    /// It is not.
    Stays(Reason),
}

/// Why a thing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was not used for too long.
    Old,
    /// The disk is too full: it goes as long as that is so.
    Pressure,
    /// The build cache is larger than it may be.
    Size,
}

/// Why a thing stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A job needs it, under this name.
    Leased(String),
    /// A container is made from it.
    Container {
        /// Its name.
        name: String,
        /// Its state.
        state: String,
    },
    /// It is to be kept, by this pattern.
    Kept(String),
    /// It is the frontend of builds, by its usual name.
    Frontend,
    /// This name of it is none of those that may go.
    Outside(String),
    /// It has no name, and such images are not to go.
    Nameless,
    /// This is made from it, and stays.
    Parent(String),
    /// It was used, or came, this long ago, which is too short whatever the disk says.
    Grace(Duration),
    /// It was used this long ago, which is not long enough.
    Young(Duration),
    /// A build has it.
    InUse,
    /// Somebody uses the store, and the engine dies of a prune beside a build.
    StoreInUse,
    /// Whoever it was made for lives.
    Owned,
    /// It is no cache mount with such an id.
    OtherCache,
    /// It is not known when it was made.
    Ageless,
    /// Somebody gave it its name, so somebody may want what is in it.
    Named,
    /// It was given this name since it was chosen.
    Renamed(String),
    /// There is room again.
    Room,
}

impl Reason {
    /// It stays for the sake of this container.
    pub(super) fn of(container: &Container) -> Self {
        Self::Container { name: container.name.clone(), state: container.state.clone() }
    }
}

/// Decides about everything. Containers come first, whose images go with them; then images and build cache, the least
/// recently used first, each before what it is made from; then volumes and networks. Complexity: n log n.
pub fn choose(inventory: &Inventory, settings: &Settings, is_pressed: bool) -> Vec<Decision> {
    let rules = Rules { settings, now: inventory.now, is_pressed };
    let mut decisions = containers(inventory, &rules);
    let gone: HashSet<usize> = decisions
        .iter()
        .filter(|decision| matches!(decision.verdict, Verdict::Goes(_)))
        .filter_map(|decision| if let Thing::Container(index) = decision.thing { Some(index) } else { None })
        .collect();
    let mut shared = images(inventory, &rules, &gone);
    if let Some(cache) = &settings.build_cache {
        shared.extend(build_cache(inventory, &rules, cache));
    }
    // Stable: what is made from another thing and as old comes before it.
    shared.sort_by_key(|decision| decision.used);
    decisions.extend(shared);
    decisions.extend(volumes(inventory, &rules));
    decisions.extend(networks(inventory, &rules));
    decisions
}

fn containers(inventory: &Inventory, rules: &Rules) -> Vec<Decision> {
    if !rules.settings.containers {
        return Vec::new();
    }
    let ours = inventory.containers.iter().enumerate().filter(|(_, container)| container.is_ours);
    ours.filter(|(_, container)| container.has_ended())
        .map(|(index, container)| {
            let used = inventory.last_of(container);
            let verdict = match inventory.owned.contains(&container.id) {
                true => Verdict::Stays(Reason::Owned),
                false => rules.unpressed().age(used),
            };
            Decision { thing: Thing::Container(index), used, verdict }
        })
        .collect()
}

fn images(inventory: &Inventory, rules: &Rules, gone: &HashSet<usize>) -> Vec<Decision> {
    let Inventory { images, containers, leases, .. } = inventory;
    let place: HashMap<&str, usize> =
        images.iter().enumerate().map(|(index, image)| (image.id.as_str(), index)).collect();
    let parent = |image: &StoredImage| image.parent.as_deref().and_then(|id| place.get(id)).copied();
    let parents: Vec<Vec<usize>> = images.iter().map(|image| Vec::from_iter(parent(image))).collect();
    let named = by_name(images);
    let of = |id: &str, name: &str| -> Vec<usize> {
        let by_id = place.get(id).copied();
        by_id.into_iter().chain(named.get(&canonical(name)).into_iter().flatten().copied()).collect()
    };
    let mut leased: Vec<Option<usize>> = vec![None; images.len()];
    for (index, lease) in leases.iter().enumerate() {
        for image in of(&lease.id, &lease.image) {
            leased[image] = Some(index);
        }
    }
    let mut used: Vec<Timestamp> = images.iter().map(|image| inventory.used(image)).collect();
    let mut container: Vec<Option<&Container>> = vec![None; images.len()];
    for (index, found) in containers.iter().enumerate() {
        for image in of(&found.image_id, &found.image) {
            used[image] = used[image].max(inventory.last_of(found));
            if !gone.contains(&index) {
                container[image] = Some(found);
            }
        }
    }
    let mut child: Vec<Option<usize>> = vec![None; images.len()];
    let mut is_parent = vec![false; images.len()];
    let mut decisions = Vec::with_capacity(images.len());
    for index in children_first(&parents) {
        let image = &images[index];
        let facts = Facts {
            image,
            used: used[index],
            lease: leased[index].map(|lease| &leases[lease]),
            container: container[index],
            child: child[index].map(|child| images[child].shown()),
            is_parent: is_parent[index],
        };
        let verdict = rules.image(&facts);
        for &parent in &parents[index] {
            used[parent] = used[parent].max(used[index]);
            is_parent[parent] = true;
            if matches!(verdict, Verdict::Stays(_)) {
                child[parent] = Some(index);
            }
        }
        decisions.push(Decision { thing: Thing::Image(index), used: used[index], verdict });
    }
    decisions
}

fn by_name(images: &[StoredImage]) -> HashMap<String, Vec<usize>> {
    let mut named: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, image) in images.iter().enumerate() {
        for name in image.names.iter().chain(&image.digests) {
            named.entry(canonical(name)).or_default().push(index);
        }
    }
    named
}

fn build_cache(inventory: &Inventory, rules: &Rules, settings: &CacheSettings) -> Vec<Decision> {
    let records = &inventory.build_cache;
    let place: HashMap<&str, usize> =
        records.iter().enumerate().map(|(index, record)| (record.id.as_str(), index)).collect();
    let parents: Vec<Vec<usize>> = records
        .iter()
        .map(|record| record.parents.iter().filter_map(|id| place.get(id.as_str())).copied().collect())
        .collect();
    let mut used: Vec<Timestamp> = records.iter().map(|record| record.used.min(inventory.now)).collect();
    let order = children_first(&parents);
    for &index in &order {
        for &parent in &parents[index] {
            used[parent] = used[parent].max(used[index]);
        }
    }
    let mut by_use = order;
    by_use.sort_by_key(|&index| used[index]);
    let total: u64 = records.iter().map(|record| record.size).sum();
    let mut excess = settings.max_size.map_or(0, |most| total.saturating_sub(most));
    let mut child: Vec<Option<usize>> = vec![None; records.len()];
    let mut decisions = Vec::with_capacity(records.len());
    for index in by_use {
        let record = &records[index];
        let mut verdict = cache_record(record, settings)
            .or(child[index].map(|child| Reason::Parent(records[child].id.clone())))
            .map_or_else(|| rules.age(used[index]), Verdict::Stays);
        if excess > 0 && matches!(verdict, Verdict::Stays(Reason::Young(_)) | Verdict::Goes(Cause::Pressure))
        {
            verdict = Verdict::Goes(Cause::Size);
        }
        match verdict {
            Verdict::Goes(Cause::Old | Cause::Size) => excess = excess.saturating_sub(record.size),
            Verdict::Goes(Cause::Pressure) => {}
            Verdict::Stays(_) => parents[index].iter().for_each(|&parent| child[parent] = Some(index)),
        }
        decisions.push(Decision { thing: Thing::Cache(index), used: used[index], verdict });
    }
    decisions
}

/// Why a record stays whatever its age.
fn cache_record(record: &CacheRecord, settings: &CacheSettings) -> Option<Reason> {
    let is_meant = settings.mounts.is_empty()
        || record
            .mount
            .as_ref()
            .is_some_and(|id| settings.mounts.iter().any(|pattern| pattern.has_cache(id)));
    match record {
        _ if record.is_in_use => Some(Reason::InUse),
        _ if !is_meant => Some(Reason::OtherCache),
        _ => None,
    }
}

fn volumes(inventory: &Inventory, rules: &Rules) -> Vec<Decision> {
    if !rules.settings.volumes {
        return Vec::new();
    }
    let taken: HashSet<&str> =
        inventory.containers.iter().flat_map(|container| &container.volumes).map(String::as_str).collect();
    let volumes = inventory.volumes.iter().enumerate();
    let unused = volumes.filter(|(_, volume)| !taken.contains(volume.name.as_str()));
    unused
        .map(|(index, volume)| {
            let verdict = match volume.created {
                _ if !volume.is_anonymous => Verdict::Stays(Reason::Named),
                Some(created) => rules.unpressed().age(created),
                None => Verdict::Stays(Reason::Ageless),
            };
            Decision { thing: Thing::Volume(index), used: volume.created.unwrap_or_default(), verdict }
        })
        .collect()
}

fn networks(inventory: &Inventory, rules: &Rules) -> Vec<Decision> {
    if !rules.settings.networks {
        return Vec::new();
    }
    let taken: HashSet<&str> =
        inventory.containers.iter().flat_map(|container| &container.networks).map(String::as_str).collect();
    let networks = inventory.networks.iter().enumerate();
    let unused = networks.filter(|(_, network)| {
        !taken.contains(network.id.as_str()) && !taken.contains(network.name.as_str())
    });
    unused
        .map(|(index, network)| {
            let of_age = |created| rules.unpressed().age(created);
            let verdict = network.created.map_or(Verdict::Stays(Reason::Ageless), of_age);
            Decision { thing: Thing::Network(index), used: network.created.unwrap_or_default(), verdict }
        })
        .collect()
}
