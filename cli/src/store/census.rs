//! How many hold locks and wait for them, for those who watch hosts.

use std::collections::BTreeMap;

use super::{Role, Store};
use crate::telemetry::{Figure, HOLDERS, WAITERS};

/// How many hold and wait, by store and mode, in all stores of this process's state directory. Makes nothing; where nothing can
/// be seen there is nobody.
pub fn census() -> Vec<Figure> {
    let mut counted: BTreeMap<(bool, String, &str), f64> = BTreeMap::new();
    for record in Store::all().unwrap_or_default().into_iter().flat_map(|store| store.records) {
        let who = (record.role == Role::Holds, record.store, record.mode.word());
        *counted.entry(who).or_default() += 1.0;
    }
    let figure = |((holds, store, mode), value): ((bool, String, &str), f64)| {
        let metric = if holds { &HOLDERS } else { &WAITERS };
        Figure { metric, labels: vec![store, mode.to_owned()], value }
    };
    counted.into_iter().map(figure).collect()
}
