//! The status for people: tables.

use std::fmt::Write as _;

use bytesize::ByteSize;
use jiff::Timestamp;

use super::Seen;
use crate::journal;
use crate::lapse;
use crate::recover::often;
use crate::store::{Lease, Mode, Overview, Record, Role, Term};

type Row<const N: usize> = [String; N];

pub(super) fn status(
    engines: &[Seen],
    stores: &[Overview],
    failures: &[journal::Record],
    now: Timestamp,
) -> String {
    let seen: Vec<_> = engines.iter().filter_map(engine).collect();
    let mut parts: Vec<String> = engines
        .iter()
        .filter_map(|seen| Some(format!("no engine: {}", seen.info.as_ref().err()?.message())))
        .collect();
    if !seen.is_empty() {
        parts.push(table(["ENGINE", "VERSION", "IMAGES IN", "FREE", "INODES"], &seen));
    }
    let rows: Vec<_> = stores.iter().flat_map(|store| of_store(store, now)).collect();
    parts.push(match rows.is_empty() {
        true => "nobody holds or waits for a lock, and no image is leased".into(),
        false => table(["STORE", "WHAT", "HOW OR UNTIL", "FOR", "WHO", "JOB", "COMMAND OR IMAGE"], &rows),
    });
    let prunes: Vec<_> = stores.iter().filter_map(|store| prune(store, now)).collect();
    if !prunes.is_empty() {
        parts.push(table(["STORE", "LAST PRUNE", "FREED", "REMOVED", "FAILED"], &prunes));
    }
    let left: Vec<_> = failures.iter().filter_map(|record| failure(record, now)).collect();
    if !left.is_empty() {
        let table = table(["LEFT BY", "FOR", "JOB", "TRIED", "AGAIN IN", "WHY IT IS STILL THERE"], &left);
        parts.push(format!("{table}\n  help: `ci-build recover` tries again at once"));
    }
    parts.join("\n\n")
}

pub(super) fn leases(leases: &[Lease], now: Timestamp) -> String {
    if leases.is_empty() {
        return "no image is leased".into();
    }
    let rows: Vec<_> = leases.iter().map(|lease| of_lease(lease, now)).collect();
    table(["STORE", "WHAT", "UNTIL", "FOR", "WHO", "JOB", "IMAGE"], &rows)
}

/// None where it told nothing of itself.
fn engine(Seen { endpoint, info, space }: &Seen) -> Option<Row<5>> {
    let info = info.as_ref().ok()?;
    let place = endpoint.as_ref().map_or_else(|| "?".into(), ToString::to_string);
    let free = space.map(|space| format!("{} of {}", ByteSize(space.free), ByteSize(space.total)));
    let inodes = space.map(|space| format!("{} %", space.inodes_percent()));
    let [free, inodes] = [free, inodes].map(|text| text.unwrap_or_else(|| "?".into()));
    Some([place, info.version.clone(), info.store.to_string(), free, inodes])
}

fn of_store(store: &Overview, now: Timestamp) -> Vec<Row<7>> {
    let records = store.records.iter().map(|record| of_record(record, now));
    records.chain(store.leases.iter().map(|lease| of_lease(lease, now))).collect()
}

fn of_record(record: &Record, now: Timestamp) -> Row<7> {
    let what = match record.role {
        Role::Holds => "holds",
        Role::Waits => "waits",
    };
    let mode = match record.mode {
        Mode::Shared => "shared",
        Mode::Exclusive => "exclusive",
    };
    let who = record.process.as_ref().map_or_else(|| "?".into(), |process| format!("pid {}", process.pid));
    let job = record.job.clone().unwrap_or_else(|| "-".into());
    let age = age(record.since, now);
    [record.store.clone(), what.into(), mode.into(), age, who, job, record.command.clone()]
}

fn of_lease(lease: &Lease, now: Timestamp) -> Row<7> {
    let (who, until) = match &lease.term {
        Term::Owner(owner) => (format!("pid {}", owner.pid), "its end".into()),
        Term::Until(end) => (format!("user {}", lease.user), format!("{end:.0}")),
    };
    let job = lease.job.clone().unwrap_or_else(|| "-".into());
    [lease.store.clone(), "needs".into(), until, age(lease.since, now), who, job, lease.image.clone()]
}

/// What could not be removed; none for a record without a failure.
fn failure(record: &journal::Record, now: Timestamp) -> Option<Row<6>> {
    let failure = record.failure.as_ref()?;
    let again = match failure.rest(now) {
        rest if rest.is_zero() => "the next run".into(),
        rest => lapse::shown(rest),
    };
    let job = record.job.clone().unwrap_or_else(|| "-".into());
    let tried = often(failure.times);
    Some([record.command.clone(), age(record.since, now), job, tried, again, failure.reason.clone()])
}

fn prune(store: &Overview, now: Timestamp) -> Option<Row<5>> {
    let prune = store.last_prune.as_ref()?;
    let when = format!("{} ago", age(prune.when, now));
    let freed = ByteSize(prune.freed_bytes).to_string();
    Some([store.name().into(), when, freed, prune.removed.to_string(), prune.failed.to_string()])
}

fn age(since: Timestamp, now: Timestamp) -> String {
    lapse::shown(now.duration_since(since).try_into().unwrap_or_default())
}

/// Columns as wide as they need to be. What stands in a record is others' text, and shown without control
/// characters.
fn table<const N: usize>(head: [&str; N], rows: &[Row<N>]) -> String {
    let clean = |text: &str| text.replace(char::is_control, " ");
    let rows: Vec<Row<N>> = std::iter::once(head.map(String::from))
        .chain(rows.iter().map(|row| row.each_ref().map(|text| clean(text))))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.trim_end().into()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::disk::Space;
    use crate::engine::{ImageStore, Info};
    use crate::journal::{EngineAt, Owner};
    use crate::store::{Identity, LastPrune};

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let row = ["x", "holds", "shared", "3s", "pid 7", "-", "make\x1b[31m all"].map(String::from);
        let head = ["STORE", "WHAT", "HOW OR UNTIL", "FOR", "WHO", "JOB", "COMMAND OR IMAGE"];
        insta::assert_snapshot!(table(head, &[row]), @r"
        STORE  WHAT   HOW OR UNTIL  FOR  WHO    JOB  COMMAND OR IMAGE
        x      holds  shared        3s   pid 7  -    make [31m all
        ");
    }

    #[test]
    fn all_that_is_known_is_shown() {
        let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(1000);
        let info = Info {
            id: Some("ID".into()),
            version: "28.5.2".into(),
            root: Some(PathBuf::from("/var/lib/docker")),
            is_local: true,
            ahead: jiff::SignedDuration::ZERO,
            store: ImageStore::Containerd("overlayfs".into()),
            components: Vec::new(),
            builders: Vec::new(),
        };
        let space = Space { total: 100 << 30, used: 75 << 30, free: 25 << 30, inodes: 100, inodes_free: 7 };
        let engine = Seen { endpoint: None, info: Ok(info), space: Some(space) };
        let until = Term::Until(now + jiff::SignedDuration::from_hours(1));
        let mut lease =
            Lease::new(&Identity::Named("x".into()), "debian:12".into(), "sha256:1".into(), until);
        (lease.since, lease.user, lease.job) = (now, 0, None);
        let store = Overview {
            directory: "name.x".into(),
            records: Vec::new(),
            leases: vec![lease],
            last_prune: Some(LastPrune {
                when: now - jiff::SignedDuration::from_hours(2),
                freed_bytes: 3 << 30,
                removed: 12,
                failed: 1,
            }),
        };
        let place = EngineAt::Docker { address: "unix:///x".into(), engine: "E".into() };
        let hour = jiff::SignedDuration::from_hours(1);
        let mut left = journal::Record::new(place, Owner::this().unwrap(), "docker run x");
        (left.since, left.job) = (now - hour, Some("GitLab 7".into()));
        let left = left.failed("device busy".into(), now).failed("device\tbusy".into(), now);
        insta::assert_snapshot!(status(&[engine], &[store], &[left], now), @r"
        ENGINE  VERSION  IMAGES IN              FREE                   INODES
        ?       28.5.2   containerd, overlayfs  25.0 GiB of 100.0 GiB  7 %

        STORE  WHAT   HOW OR UNTIL          FOR  WHO     JOB  COMMAND OR IMAGE
        x      needs  1970-02-11T17:00:00Z  0s   user 0  -    debian:12

        STORE  LAST PRUNE  FREED    REMOVED  FAILED
        x      2h ago      3.0 GiB  12       1

        LEFT BY       FOR  JOB       TRIED    AGAIN IN  WHY IT IS STILL THERE
        docker run x  1h   GitLab 7  2 times  1m        device busy
          help: `ci-build recover` tries again at once
        ");
    }
}
