//! The status for scripts.

use serde_json::{Value, json};

use super::Seen;
use crate::disk::Space;
use crate::engine::{ImageStore, Info};
use crate::journal;
use crate::store::{LastPrune, Lease, Mode, Overview, Record, Role, Term};

pub(super) fn engine(Seen { endpoint, info, space }: &Seen) -> Value {
    let told = |tell: fn(&Info) -> Value| info.as_ref().map_or(Value::Null, tell);
    json!({
        "address": endpoint.as_ref().map(|endpoint| &endpoint.address),
        "reachable": info.is_ok(),
        "error": info.as_ref().err().map(crate::error::Failure::message),
        "id": told(|info| json!(info.id)),
        "version": told(|info| json!(info.version)),
        "image_store": told(|info| {
            let (ImageStore::GraphDriver(driver) | ImageStore::Containerd(driver)) = &info.store;
            json!({ "kind": info.store.kind(), "driver": driver })
        }),
        "root": told(|info| json!(info.root)),
        "disk": space.map(disk),
    })
}

fn disk(Space { total, free, inodes, inodes_free, .. }: Space) -> Value {
    json!({ "total": total, "free": free, "inodes": inodes, "inodes_free": inodes_free })
}

pub(super) fn store(overview: &Overview) -> Value {
    let Overview { records, leases, last_prune, .. } = overview;
    let of_role =
        |role| -> Vec<Value> { records.iter().filter(|record| record.role == role).map(record).collect() };
    json!({
        "store": overview.name(),
        "holders": of_role(Role::Holds),
        "waiters": of_role(Role::Waits),
        "leases": leases.iter().map(lease).collect::<Vec<_>>(),
        "last_prune": last_prune.as_ref().map(prune),
    })
}

fn record(record: &Record) -> Value {
    json!({
        "mode": match record.mode {
            Mode::Shared => "shared",
            Mode::Exclusive => "exclusive",
        },
        "since": record.since.to_string(),
        "pid": record.process.as_ref().map(|process| process.pid),
        "user": record.user,
        "command": record.command,
        "job": record.job,
    })
}

pub(super) fn lease(lease: &Lease) -> Value {
    let (pid, until) = match &lease.term {
        Term::Owner(owner) => (Some(owner.pid), None),
        Term::Until(end) => (None, Some(end.to_string())),
    };
    json!({
        "store": lease.store,
        "image": lease.image,
        "id": lease.id,
        "since": lease.since.to_string(),
        "pid": pid,
        "until": until,
        "user": lease.user,
        "job": lease.job,
    })
}

/// None for a record without a failure.
pub(super) fn failure(record: &journal::Record) -> Option<Value> {
    let failure = record.failure.as_ref()?;
    Some(json!({
        "command": record.command,
        "job": record.job,
        "place": record.place,
        "id": record.id(),
        "since": record.since.to_string(),
        "reason": failure.reason,
        "times": failure.times,
        "last": failure.last.to_string(),
        "next": failure.next.to_string(),
    }))
}

fn prune(LastPrune { when, freed_bytes, removed, failed }: &LastPrune) -> Value {
    json!({ "when": when.to_string(), "freed_bytes": freed_bytes, "removed": removed, "failed": failed })
}
