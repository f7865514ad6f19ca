//! What goes and what stays, of one engine: from the journal's records and the labels of what there is.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::engine::{OWNER_LABEL, OwnedContainer, OwnedVolume};
use crate::journal::{EngineAt, Fate, Found, JOB_LABEL, Owner, RUN_LABEL, Record};

/// Something with labels, such as a container.
pub trait Labelled {
    /// All its labels.
    fn labels(&self) -> &HashMap<String, String>;
}

impl Labelled for OwnedContainer {
    fn labels(&self) -> &HashMap<String, String> {
        &self.labels
    }
}

impl Labelled for OwnedVolume {
    fn labels(&self) -> &HashMap<String, String> {
        &self.labels
    }
}

/// What becomes of one container or record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task<T = OwnedContainer> {
    /// The owner is dead: the container goes, and then its record, where it has one.
    Remove {
        /// The container.
        container: T,
        /// Its record's name, and what that says.
        record: Option<(String, Record)>,
    },
    /// Nothing is there, and nobody is left who would make it: the record goes.
    Forget {
        /// The record's name.
        name: String,
        /// What it says.
        record: Record,
    },
    /// The owner is dead, a removal failed, and it is too early for the next.
    Later {
        /// What the record says.
        record: Record,
    },
    /// Its owner lives.
    Stay,
    /// Nobody here can tell whether its owner lives: another machine's, or another container's.
    Unknown {
        /// The container.
        container: T,
    },
}

/// Chooses for the engine at this place, whose records and containers these are. `is_eager` tries again at once what failed before.
///
/// Linear in both, but for the look at each owner.
#[must_use]
pub fn choose<T: Labelled>(
    place: &EngineAt,
    records: &[&Found],
    containers: Vec<T>,
    is_eager: bool,
    now: Timestamp,
) -> Vec<Task<T>> {
    let mut of_records: HashMap<&str, Vec<T>> =
        records.iter().map(|found| (found.name.as_str(), Vec::new())).collect();
    let mut tasks = Vec::new();
    for container in containers {
        let record = container.labels().get(RUN_LABEL).and_then(|name| of_records.get_mut(name.as_str()));
        match record {
            Some(of_record) => of_record.push(container),
            None => tasks.push(unrecorded(container, place.is_near())),
        }
    }
    for found in records {
        let Some(record) = &found.record else { continue };
        let containers = of_records.remove(found.name.as_str()).unwrap_or_default();
        match record.fate(found.is_held, now) {
            // It was there when it was handed over, and somebody removed it.
            Fate::Stays if record.is_job && containers.is_empty() => {
                tasks.push(Task::Forget { name: found.name.clone(), record: record.clone() });
            }
            Fate::Stays | Fate::Unknown => tasks.push(Task::Stay),
            Fate::Goes if record.waits(now) && !is_eager => {
                tasks.push(Task::Later { record: record.clone() })
            }
            Fate::Goes if containers.is_empty() => {
                tasks.push(Task::Forget { name: found.name.clone(), record: record.clone() });
            }
            Fate::Goes => tasks.extend(containers.into_iter().map(|container| {
                let record = Some((found.name.clone(), record.clone()));
                Task::Remove { container, record }
            })),
        }
    }
    tasks
}

/// What only its labels tell of. It may have been handed over to its job, which only the record would say: so it stays
/// for as long as either lives.
fn unrecorded<T: Labelled>(container: T, is_near: bool) -> Task<T> {
    let fate = |label: &str| {
        let text = container.labels().get(label)?;
        Some(text.parse::<Owner>().map_or(Fate::Unknown, |owner| owner.fate_by_label(is_near)))
    };
    match [fate(OWNER_LABEL).unwrap_or(Fate::Unknown), fate(JOB_LABEL).unwrap_or(Fate::Goes)] {
        [Fate::Goes, Fate::Goes] => Task::Remove { container, record: None },
        fates if fates.contains(&Fate::Stays) => Task::Stay,
        _ => Task::Unknown { container },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Step;
    use crate::store::Process;
    use proptest::prelude::*;

    fn dead() -> Owner {
        let us = Owner::this().unwrap();
        Owner { process: Process { start: us.process.start - 1, ..us.process }, ..us }
    }

    fn elsewhere() -> Owner {
        let us = Owner::this().unwrap();
        Owner { process: Process { boot: "another".into(), ..us.process }, machine: None }
    }

    fn place() -> EngineAt {
        EngineAt::Docker { address: "unix:///x".into(), engine: "E".into() }
    }

    fn record(name: &str, owner: Owner) -> Found {
        let record = Record { step: Step::Intended, ..Record::new(place(), owner, "docker run x") };
        Found { name: name.into(), record: Some(record), is_held: false }
    }

    fn container(run: &str, labels: &[(&str, &Owner)]) -> OwnedContainer {
        let owners = labels.iter().map(|(label, owner)| ((*label).to_owned(), owner.to_string()));
        let labels: HashMap<_, _> = owners.chain([(RUN_LABEL.to_owned(), run.to_owned())]).collect();
        OwnedContainer {
            id: format!("id-{run}"),
            name: run.into(),
            image: "x".into(),
            image_id: "sha256:1".into(),
            state: "running".into(),
            labels,
        }
    }

    fn names(records: &[Found], containers: Vec<OwnedContainer>, is_eager: bool) -> Vec<String> {
        let records: Vec<_> = records.iter().collect();
        let mut told: Vec<_> = choose(&place(), &records, containers, is_eager, Timestamp::now())
            .into_iter()
            .map(|task| match task {
                Task::Remove { container, record } => {
                    format!("remove {}{}", container.name, if record.is_some() { " and record" } else { "" })
                }
                Task::Forget { name, .. } => format!("forget {name}"),
                Task::Later { .. } => "later".into(),
                Task::Stay => "stay".into(),
                Task::Unknown { container } => format!("unknown {}", container.name),
            })
            .collect();
        told.sort_unstable();
        told
    }

    #[test]
    fn only_what_the_dead_left_goes() {
        let (us, dead, elsewhere) = (Owner::this().unwrap(), dead(), elsewhere());
        let owned = |run, owner| container(run, &[(OWNER_LABEL, owner)]);
        let of_job = |name, owner| {
            let found = record(name, owner);
            Found { record: found.record.map(|record| Record { is_job: true, ..record }), ..found }
        };
        let records = [
            record("a", dead.clone()),
            record("b", us.clone()),
            record("c", dead.clone()),
            record("intended", us.clone()),
            of_job("d", us.clone()),
            of_job("removed-by-hand", us.clone()),
        ];
        let containers = vec![
            owned("a", &dead),
            owned("b", &us),
            owned("d", &dead),
            owned("unrecorded", &dead),
            owned("alive", &us),
            owned("far", &elsewhere),
            container("job", &[(OWNER_LABEL, &dead), (JOB_LABEL, &us)]),
            container("dead-job", &[(OWNER_LABEL, &dead), (JOB_LABEL, &dead)]),
            container("far-job", &[(OWNER_LABEL, &dead), (JOB_LABEL, &elsewhere)]),
            container("no-owner", &[]),
        ];
        insta::assert_snapshot!(names(&records, containers, false).join("\n"), @r"
        forget c
        forget removed-by-hand
        remove a and record
        remove dead-job
        remove unrecorded
        stay
        stay
        stay
        stay
        stay
        unknown far
        unknown far-job
        unknown no-owner
        ");
    }

    #[test]
    fn what_failed_waits_unless_somebody_asks() {
        let found = record("a", dead());
        let failed = found.record.clone().map(|record| record.failed("busy".into(), Timestamp::now()));
        let records = [Found { record: failed, ..found }];
        let containers = || vec![container("a", &[(OWNER_LABEL, &dead())])];
        assert_eq!(names(&records, containers(), false), ["later"]);
        assert_eq!(names(&records, containers(), true), ["remove a and record"]);
    }

    #[test]
    fn what_cannot_be_read_is_not_forgotten() {
        let records = [Found { name: "a".into(), record: None, is_held: false }];
        assert_eq!(names(&records, vec![], true), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn nothing_of_a_living_owner_goes(
            records in prop::collection::vec((0..6_u8, any::<bool>(), any::<bool>()), 0..6),
            containers in prop::collection::vec((0..8_u8, any::<bool>()), 0..8),
        ) {
            let owner = |lives| if lives { Owner::this().unwrap() } else { dead() };
            let mut found: Vec<Found> = records.iter().map(|(name, lives, is_held)| {
                Found { is_held: *is_held, ..record(&name.to_string(), owner(*lives)) }
            }).collect();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            found.dedup_by(|a, b| a.name == b.name);
            let containers: Vec<_> =
                containers.iter().map(|(name, lives)| container(&name.to_string(), &[(OWNER_LABEL, &owner(*lives))])).collect();
            let all: Vec<_> = found.iter().collect();
            let count = containers.len();
            let tasks = choose(&place(), &all, containers, true, Timestamp::now());
            let mut seen = 0;
            for task in &tasks {
                match task {
                    Task::Remove { container, record: Some((name, record)) } => {
                        seen += 1;
                        let of = found.iter().find(|found| found.name == *name).unwrap();
                        prop_assert!(!of.is_held && record.owner == dead());
                        prop_assert_eq!(&container.name, name);
                    }
                    Task::Remove { container, record: None } => {
                        seen += 1;
                        prop_assert_eq!(&container.labels[OWNER_LABEL], &dead().to_string());
                        prop_assert!(found.iter().all(|found| found.name != container.name));
                    }
                    Task::Forget { name, .. } => {
                        let of = found.iter().find(|found| found.name == *name).unwrap();
                        prop_assert!(!of.is_held && of.record.as_ref().unwrap().owner == dead());
                    }
                    Task::Later { .. } | Task::Stay | Task::Unknown { .. } => {}
                }
            }
            prop_assert!(seen <= count);
        }
    }
}
