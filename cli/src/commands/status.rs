//! `ci-build status`.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::print_line;
use crate::error::Failure;
use crate::store::{self, Lease, Mode, Overview, Record, Role, Store, Term};

const EXAMPLES: &str = "\
Examples:
  ci-build status
  ci-build status --format json | jq '.stores[].holders'";

/// Show who holds which lock, who waits for it, and which images are needed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shown: Shown,
}

/// How a list is shown.
#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// How it is shown
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
}

pub(super) fn run(Arguments { shown }: &Arguments) -> Result<(), Failure> {
    let stores = Store::all()?;
    let stores: Vec<_> =
        stores.iter().filter(|store| !store.records.is_empty() || !store.leases.is_empty()).collect();
    match shown.format {
        Format::Json => {
            let stores: Vec<_> = stores.iter().map(|store| of_store(store)).collect();
            print_line(document("stores", stores))
        }
        Format::Text if stores.is_empty() => {
            print_line("nobody holds or waits for a lock, and no image is leased")
        }
        Format::Text => {
            let now = Timestamp::now();
            let rows = |store: &&Overview| -> Vec<Row> {
                let records = store.records.iter().map(|record| row(record, now));
                records.chain(store.leases.iter().map(|lease| lease_row(lease, now))).collect()
            };
            let rows: Vec<_> = stores.iter().flat_map(rows).collect();
            print_line(table(
                ["STORE", "WHAT", "HOW OR UNTIL", "FOR", "WHO", "JOB", "COMMAND OR IMAGE"],
                &rows,
            ))
        }
    }
}

/// Shows the leases of all stores alone.
pub(super) fn leases(shown: &Shown) -> Result<(), Failure> {
    let leases: Vec<Lease> = Store::all()?.into_iter().flat_map(|store| store.leases).collect();
    match shown.format {
        Format::Json => print_line(document("leases", leases.iter().map(of_lease).collect())),
        Format::Text if leases.is_empty() => print_line("no image is leased"),
        Format::Text => {
            let rows: Vec<_> = leases.iter().map(|lease| lease_row(lease, Timestamp::now())).collect();
            print_line(table(["STORE", "WHAT", "UNTIL", "FOR", "WHO", "JOB", "IMAGE"], &rows))
        }
    }
}

/// The document, its schema first, which a map of serde_json would not keep.
fn document(name: &str, values: Vec<Value>) -> String {
    format!("{{\"schema\":1,\"{name}\":{}}}", Value::from(values))
}

fn of_store(Overview { records, leases }: &Overview) -> Value {
    let of_role =
        |role| -> Vec<Value> { records.iter().filter(|record| record.role == role).map(of_record).collect() };
    let name = records.first().map(|record| &record.store).or(leases.first().map(|lease| &lease.store));
    json!({
        "store": name,
        "holders": of_role(Role::Holds),
        "waiters": of_role(Role::Waits),
        "leases": leases.iter().map(of_lease).collect::<Vec<_>>(),
    })
}

fn of_record(record: &Record) -> Value {
    json!({
        "mode": mode(record.mode),
        "since": record.since.to_string(),
        "pid": record.process.as_ref().map(|process| process.pid),
        "user": record.user,
        "command": record.command,
        "job": record.job,
    })
}

fn of_lease(lease: &Lease) -> Value {
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

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Shared => "shared",
        Mode::Exclusive => "exclusive",
    }
}

type Row = [String; 7];

fn row(record: &Record, now: Timestamp) -> Row {
    let what = match record.role {
        Role::Holds => "holds",
        Role::Waits => "waits",
    };
    let who = record.process.as_ref().map_or_else(|| "?".into(), |process| format!("pid {}", process.pid));
    let job = record.job.clone().unwrap_or_else(|| "-".into());
    let age = age(record.since, now);
    [record.store.clone(), what.into(), mode(record.mode).into(), age, who, job, record.command.clone()]
}

fn lease_row(lease: &Lease, now: Timestamp) -> Row {
    let (who, until) = match &lease.term {
        Term::Owner(owner) => (format!("pid {}", owner.pid), "its end".into()),
        Term::Until(end) => (format!("user {}", lease.user), format!("{end:.0}")),
    };
    let job = lease.job.clone().unwrap_or_else(|| "-".into());
    [lease.store.clone(), "needs".into(), until, age(lease.since, now), who, job, lease.image.clone()]
}

fn age(since: Timestamp, now: Timestamp) -> String {
    store::shown(now.duration_since(since).try_into().unwrap_or_default())
}

/// Columns as wide as they need to be. What stands in a record is others' text, and shown without control
/// characters.
fn table(head: [&str; 7], rows: &[Row]) -> String {
    let clean = |text: &str| text.replace(char::is_control, " ");
    let rows: Vec<Row> = std::iter::once(head.map(String::from))
        .chain(rows.iter().map(|row| row.each_ref().map(|text| clean(text))))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
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
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let row = ["x", "holds", "shared", "3s", "pid 7", "-", "make\x1b[31m all"].map(String::from);
        let head = ["STORE", "WHAT", "HOW OR UNTIL", "FOR", "WHO", "JOB", "COMMAND OR IMAGE"];
        insta::assert_snapshot!(table(head, &[row]), @r"
        STORE  WHAT   HOW OR UNTIL  FOR  WHO    JOB  COMMAND OR IMAGE
        x      holds  shared        3s   pid 7  -    make [31m all
        ");
    }
}
