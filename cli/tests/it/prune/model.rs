//! The choice, which looks everything up in tables, against its definition, which looks everything over and over.
//!
//! `PROPTEST_CASES=100000 cargo test -p ci-build --test it prune::model` tries more cases.

use std::time::Duration;

use ci_build::engine::{CacheRecord, Container, Network, StoredImage, Volume};
use ci_build::prune::choose::choose;
use ci_build::prune::{CacheSettings, Cause, Inventory, Pattern, Settings, Thing, Verdict};
use ci_build::store::{Identity, Lease, Term};
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

const NAMES: [&str; 6] = ["a:1", "a:latest", "b:1", "r:5/a:1", "r:5/b@sha256:9", "c:1"];
/// How leases, containers and patterns may name what [`NAMES`] lists, and what nobody has.
const SPELLINGS: [&str; 8] =
    ["a:1", "a", "docker.io/library/b:1", "r:5/a:1", "r:5/b:7@sha256:9", "library/c:1", "x:1", "a:latest"];
const PATTERNS: [&str; 8] = ["a", "a:1", "*:1", "r:5/*", "docker.io/library/c", "x", "sha256:0", "sha256:?"];
const VOLUMES: [&str; 3] = ["v0", "v1", "v2"];
const NETWORKS: [&str; 3] = ["n0", "n1", "n2"];

fn hour(hours: u8) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::from(hours) * 3600).unwrap()
}

const NOW: u8 = 20;

fn id(index: usize) -> String {
    format!("sha256:{index}")
}

prop_compose! {
    fn image()(
        parent in proptest::option::weighted(0.3, 0..6_usize),
        names in vec(proptest::sample::select(&NAMES[..]), 0..3),
        created in 0..22_u8,
        used in proptest::option::of(0..22_u8),
    ) -> (Option<usize>, Vec<&'static str>, u8, Option<u8>) {
        (parent, names, created, used)
    }
}

/// An image and its name, when it was made and ended, if it has and the engine told, whether it is ours, its volumes and networks.
type Made = (usize, &'static str, u8, Option<Option<u8>>, bool, Vec<String>, Vec<String>);

fn container() -> impl Strategy<Value = Made> {
    let some =
        |names: [&'static str; 5]| vec(proptest::sample::select(names.map(String::from).to_vec()), 0..2);
    (
        0..8_usize,
        proptest::sample::select(&SPELLINGS[..]),
        0..22_u8,
        proptest::option::of(proptest::option::of(0..22_u8)),
        any::<bool>(),
        some(["v0", "v1", "v2", "other", "n0"]),
        some(["n0", "n1", "id-n0", "id-n2", "v0"]),
    )
}

prop_compose! {
    fn inventory()(
        images in vec(image(), 0..7),
        containers in vec(container(), 0..3),
        leases in vec((0..12_usize, proptest::sample::select(&SPELLINGS[..])), 0..3),
        cache in vec((proptest::option::of(0..6_usize), any::<bool>(), any::<bool>(), 0..22_u8, 0..9_u64), 0..7),
        volumes in vec((proptest::option::of(0..22_u8), any::<bool>()), 0..VOLUMES.len()),
        networks in vec(proptest::option::of(0..22_u8), 0..NETWORKS.len()),
    ) -> Inventory {
        let mut inventory = Inventory { now: hour(NOW), ..Inventory::default() };
        for (index, (parent, names, created, used)) in images.into_iter().enumerate() {
            let (digests, names) = names.into_iter().map(String::from).partition(|name| name.contains('@'));
            // Parents are older, so that there are no cycles.
            let parent = parent.filter(|&parent| parent < index).map(id);
            inventory.images.push(StoredImage { id: id(index), parent, names, digests, created: hour(created), size: 1 });
            inventory.used.extend(used.map(|used| (id(index), hour(used))));
        }
        for (index, (image, name, created, ended, is_ours, volumes, networks)) in containers.into_iter().enumerate() {
            let id = format!("c{index}");
            inventory.ended.extend(ended.flatten().map(|ended| (id.clone(), hour(ended))));
            inventory.containers.push(Container {
                name: id.clone(), id, image: name.into(), image_id: self::id(image),
                state: if ended.is_some() { "exited" } else { "created" }.into(),
                created: hour(created), is_ours, labels: Default::default(), volumes, networks,
            });
        }
        for (image, name) in leases {
            // Leases of what is not there yet have no id.
            let id = if image < 8 { self::id(image) } else { String::new() };
            inventory.leases.push(Lease::new(&Identity::Named("x".into()), name.into(), id, Term::Until(hour(NOW))));
        }
        for (index, (parent, is_mount, is_in_use, used, size)) in cache.into_iter().enumerate() {
            inventory.build_cache.push(CacheRecord {
                id: id(index), parents: parent.filter(|&parent| parent < index).map(id).into_iter().collect(),
                description: String::new(), mount: is_mount.then(|| "m".into()), is_in_use, size, used: hour(used),
            });
        }
        for ((created, is_anonymous), name) in volumes.into_iter().zip(VOLUMES) {
            inventory.volumes.push(Volume { name: name.into(), created: created.map(hour), is_anonymous });
        }
        for (created, name) in networks.into_iter().zip(NETWORKS) {
            inventory.networks.push(Network { id: format!("id-{name}"), name: name.into(), created: created.map(hour) });
        }
        inventory
    }
}

prop_compose! {
    fn settings()(
        grace in 0..10_u64,
        more in 0..10_u64,
        keep in vec(proptest::sample::select(&PATTERNS[..]), 0..2),
        repositories in vec(proptest::sample::select(&PATTERNS[..]), 0..2),
        dangling: bool,
        containers: bool,
        volumes: bool,
        networks: bool,
        only_mounts: bool,
        max_size in proptest::option::of(0..20_u64),
    ) -> Settings {
        let patterns = |texts: Vec<&str>| texts.into_iter().map(|text| text.parse().unwrap()).collect::<Vec<Pattern>>();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Settings {
            older_than: hours(grace + more), grace: hours(grace),
            keep: patterns(keep), repositories: patterns(repositories),
            dangling, containers, volumes, networks,
            build_cache: Some(CacheSettings { mounts: if only_mounts { patterns(vec!["m"]) } else { vec![] }, max_size }),
        }
    }
}

/// The definition, by what the inventory says and nothing else.
struct Model<'a> {
    inventory: &'a Inventory,
    settings: &'a Settings,
    is_pressed: bool,
}

/// Written differently from the code on purpose: all spellings of the few names there are.
fn same_name(a: &str, b: &str) -> bool {
    let groups = [
        &["a:1"][..],
        &["a", "a:latest"],
        &["b:1", "docker.io/library/b:1"],
        &["r:5/a:1"],
        &["r:5/b@sha256:9", "r:5/b:7@sha256:9"],
        &["c:1", "library/c:1"],
    ];
    groups.iter().any(|group| group.contains(&a) && group.contains(&b))
}

fn pattern_has(pattern: &str, name: &str) -> bool {
    match pattern {
        "a" => name.starts_with("a:"),
        "a:1" => name == "a:1",
        "*:1" => name.ends_with(":1"),
        "r:5/*" => name.starts_with("r:5/"),
        "c" => name.starts_with("c:"),
        _ => false,
    }
}

impl Model<'_> {
    fn names(image: &StoredImage) -> Vec<&String> {
        image.names.iter().chain(&image.digests).collect()
    }

    fn is_leased(&self, image: &StoredImage) -> bool {
        let is_for = |lease: &Lease| {
            lease.id == image.id || Self::names(image).iter().any(|name| same_name(name, &lease.image))
        };
        self.inventory.leases.iter().any(is_for)
    }

    fn is_of(container: &Container, image: &StoredImage) -> bool {
        container.image_id == image.id
            || Self::names(image).iter().any(|name| same_name(name, &container.image))
    }

    fn last_of(&self, container: &Container) -> Timestamp {
        (*self.inventory.ended.get(&container.id).unwrap_or(&container.created)).min(self.inventory.now)
    }

    fn container_goes(&self, container: &Container) -> bool {
        let age = self.age(self.last_of(container));
        self.settings.containers
            && container.is_ours
            && container.state == "exited"
            && age >= self.settings.older_than
            && age >= self.settings.grace
    }

    fn is_kept(&self, image: &StoredImage) -> bool {
        let kept =
            |name: &String| self.settings.keep.iter().any(|pattern| pattern_has(&pattern.to_string(), name));
        let ids = ["sha256:?".to_owned(), image.id.clone()];
        Self::names(image).into_iter().any(kept)
            || self.settings.keep.iter().any(|pattern| ids.contains(&pattern.to_string()))
    }

    fn is_outside(&self, image: &StoredImage) -> bool {
        let allowed = |name: &&String| {
            self.settings.repositories.iter().any(|pattern| pattern_has(&pattern.to_string(), name))
        };
        !self.settings.repositories.is_empty() && !Self::names(image).iter().all(allowed)
    }

    fn children<'b>(&'b self, image: &'b StoredImage) -> impl Iterator<Item = &'b StoredImage> {
        self.inventory.images.iter().filter(|child| child.parent.as_ref() == Some(&image.id))
    }

    fn used(&self, image: &StoredImage) -> Timestamp {
        let own = *self.inventory.used.get(&image.id).unwrap_or(&image.created);
        let containers = self.inventory.containers.iter().filter(|container| Self::is_of(container, image));
        let times = containers.map(|container| self.last_of(container));
        let times = times.chain(self.children(image).map(|child| self.used(child)));
        times.fold(own, Timestamp::max).min(self.inventory.now)
    }

    fn age(&self, used: Timestamp) -> Duration {
        self.inventory.now.duration_since(used).try_into().unwrap()
    }

    fn cause(&self, age: Duration) -> Option<Cause> {
        match () {
            () if age < self.settings.grace => None,
            () if age >= self.settings.older_than => Some(Cause::Old),
            () => self.is_pressed.then_some(Cause::Pressure),
        }
    }

    fn goes(&self, image: &StoredImage) -> Option<Cause> {
        let stays_in_use =
            |container: &Container| Self::is_of(container, image) && !self.container_goes(container);
        let is_protected = self.is_leased(image)
            || self.inventory.containers.iter().any(stays_in_use)
            || self.is_kept(image)
            || self.is_outside(image)
            || self.children(image).any(|child| self.goes(child).is_none());
        let is_dangling = Self::names(image).is_empty() && self.children(image).next().is_none();
        if is_protected || is_dangling && !self.settings.dangling {
            None
        } else {
            self.cause(self.age(self.used(image)))
        }
    }
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(3000), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Never a leased, used, kept, too young or new one; and every other one.
    #[test]
    fn images_go_as_they_are_defined_to(inventory in inventory(), settings in settings(), is_pressed: bool) {
        let model = Model { inventory: &inventory, settings: &settings, is_pressed };
        let decisions = choose(&inventory, &settings, is_pressed);
        let mut seen = 0;
        for decision in &decisions {
            let Thing::Image(index) = decision.thing else { continue };
            seen += 1;
            let image = &inventory.images[index];
            let goes = match &decision.verdict {
                Verdict::Goes(cause) => Some(*cause),
                Verdict::Stays(_) => None,
            };
            prop_assert_eq!(goes, model.goes(image), "{:?}", image);
            prop_assert_eq!(decision.used, model.used(image));
        }
        prop_assert_eq!(seen, inventory.images.len(), "each is decided about once");
    }

    #[test]
    fn containers_go_as_they_are_defined_to(inventory in inventory(), settings in settings()) {
        let model = Model { inventory: &inventory, settings: &settings, is_pressed: true };
        for decision in choose(&inventory, &settings, true) {
            let Thing::Container(index) = decision.thing else { continue };
            let goes = matches!(decision.verdict, Verdict::Goes(_));
            prop_assert_eq!(goes, model.container_goes(&inventory.containers[index]));
        }
    }

    /// Only anonymous volumes, and only what no container has, whatever the disk says.
    #[test]
    fn volumes_and_networks_go_as_they_are_defined_to(inventory in inventory(), settings in settings(), is_pressed: bool) {
        let model = Model { inventory: &inventory, settings: &settings, is_pressed: false };
        let decisions = choose(&inventory, &settings, is_pressed);
        let goes = |thing| decisions.iter().any(|decision| decision.thing == thing && matches!(decision.verdict, Verdict::Goes(_)));
        let is_old = |created: Option<Timestamp>| {
            created.is_some_and(|created| model.cause(model.age(created.min(inventory.now))).is_some())
        };
        for (index, volume) in inventory.volumes.iter().enumerate() {
            let is_free = inventory.containers.iter().all(|container| !container.volumes.contains(&volume.name));
            let may = settings.volumes && volume.is_anonymous && is_free;
            prop_assert_eq!(goes(Thing::Volume(index)), may && is_old(volume.created), "{:?}", volume);
        }
        for (index, network) in inventory.networks.iter().enumerate() {
            let has = |container: &Container| [&network.id, &network.name].iter().any(|&name| container.networks.contains(name));
            let may = settings.networks && !inventory.containers.iter().any(has);
            prop_assert_eq!(goes(Thing::Network(index)), may && is_old(network.created), "{:?}", network);
        }
    }

    /// The least recently used first, whatever the order in which images were made, and none before what is made from it.
    #[test]
    fn the_least_recently_used_goes_first(inventory in inventory(), settings in settings(), is_pressed: bool) {
        let decisions = choose(&inventory, &settings, is_pressed);
        let shared: Vec<_> =
            decisions.iter().filter(|decision| matches!(decision.thing, Thing::Image(_) | Thing::Cache(_))).collect();
        prop_assert!(shared.is_sorted_by_key(|decision| decision.used));
        let place = |thing| shared.iter().position(|decision| decision.thing == thing);
        for (index, image) in inventory.images.iter().enumerate() {
            let parent = inventory.images.iter().position(|parent| Some(&parent.id) == image.parent.as_ref());
            if let Some(parent) = parent {
                prop_assert!(place(Thing::Image(index)) < place(Thing::Image(parent)));
            }
        }
    }

    #[test]
    fn build_cache_goes_by_the_same_rules(inventory in inventory(), settings in settings(), is_pressed: bool) {
        let records = &inventory.build_cache;
        let cache = settings.build_cache.clone().unwrap();
        let decisions = choose(&inventory, &settings, is_pressed);
        let goes = |index: usize| decisions.iter().find_map(|decision| match decision.verdict {
            Verdict::Goes(cause) if decision.thing == Thing::Cache(index) => Some((cause, decision.used)),
            _ => None,
        });
        let children = |index: usize| (0..records.len()).filter(move |&child| records[child].parents.contains(&records[index].id));
        let mut left: u64 = records.iter().map(|record| record.size).sum();
        for (index, record) in records.iter().enumerate() {
            let Some((cause, used)) = goes(index) else { continue };
            prop_assert!(!record.is_in_use);
            prop_assert!(cache.mounts.is_empty() || record.mount.is_some());
            prop_assert!(children(index).all(|child| goes(child).is_some()));
            let age: Duration = inventory.now.duration_since(used).try_into().unwrap();
            prop_assert!(age >= settings.grace);
            prop_assert_eq!(cause == Cause::Old, age >= settings.older_than);
            prop_assert!(cause != Cause::Pressure || is_pressed);
            prop_assert!(cause != Cause::Size || cache.max_size.is_some());
            if cause != Cause::Pressure {
                left -= record.size;
            }
        }
        if let Some(most) = cache.max_size.filter(|&most| left > most) {
            // Then nothing was left that might have gone.
            for decision in decisions.iter().filter(|decision| matches!(decision.thing, Thing::Cache(_))) {
                use ci_build::prune::Reason;
                let might_go = matches!(decision.verdict, Verdict::Stays(Reason::Young(_)) | Verdict::Goes(Cause::Pressure));
                prop_assert!(!might_go, "{} of {} are left, and {:?}", left, most, decision);
            }
        }
    }
}

/// The definition above takes the clock's word for the future.
#[test]
fn a_time_in_the_future_is_now() {
    let mut inventory = Inventory { now: hour(0), ..Inventory::default() };
    let created = inventory.now + SignedDuration::from_hours(24 * 365 * 20);
    let image =
        StoredImage { id: id(0), parent: None, names: vec!["a:1".into()], digests: vec![], created, size: 0 };
    inventory.images.push(image);
    let settings = Settings {
        older_than: Duration::ZERO,
        grace: Duration::ZERO,
        keep: vec![],
        repositories: vec![],
        dangling: false,
        containers: false,
        volumes: false,
        networks: false,
        build_cache: None,
    };
    let decisions = choose(&inventory, &settings, false);
    assert_eq!((decisions[0].used, &decisions[0].verdict), (inventory.now, &Verdict::Goes(Cause::Old)));
}

/// No engine tells that a build used it, so it is old as soon as it is there.
#[test]
fn the_frontend_stays_whatever_its_age() {
    let mut inventory = Inventory { now: hour(200), ..Inventory::default() };
    for (number, name) in
        ["localhost/ci-build/frontend:0.1.0", "localhost/ci-build/other:0.1.0"].into_iter().enumerate()
    {
        let names = vec![name.to_owned()];
        let created = hour(0);
        inventory.images.push(StoredImage {
            id: id(number),
            parent: None,
            names,
            digests: vec![],
            created,
            size: 0,
        });
    }
    let settings = Settings {
        older_than: Duration::from_secs(3600),
        grace: Duration::ZERO,
        keep: vec![],
        repositories: vec![],
        dangling: true,
        containers: true,
        volumes: true,
        networks: true,
        build_cache: None,
    };
    let verdicts: Vec<Verdict> =
        choose(&inventory, &settings, true).into_iter().map(|decision| decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Stays(ci_build::prune::Reason::Frontend), Verdict::Goes(Cause::Old)]);
}
