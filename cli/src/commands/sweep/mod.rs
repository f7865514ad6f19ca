//! `ci-build sweep`.

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tracing::{Span, field, info_span};

use super::format::Format;
use super::{lock, print_line};
use crate::error::Failure;
use crate::store::{Guard as _, Patience, Sweeping};
use crate::sweep::cache_mount::CacheMount;
use crate::sweep::report::{Report, Sum, Thing};
use crate::sweep::{self, Error, Job, Looked, Place, Touched, pace};

mod arguments;
mod install;
mod jobs;
mod show;
mod usage;
mod users;
mod words;

pub(crate) use arguments::Arguments;
use arguments::Io;
use show::Showing;
use usage::Usage;

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if !arguments.touch.is_empty() {
        return touch(arguments);
    }
    if let Some(id) = &arguments.cache_mount {
        return cache_mount(arguments, id);
    }
    let jobs = arguments.jobs()?;
    if let Some(scheduler) = arguments.install {
        return arguments.install(scheduler, &jobs);
    }
    let places = open(jobs)?;
    if !arguments.dry_run
        && arguments.io == Io::Idle
        && let Err(why) = pace::idle()
    {
        note(&why);
    }
    let all = places.len();
    let mut shown = Showing::new(arguments)?;
    let (mut failures, mut failed) = (Vec::new(), false);
    for (job, place) in places {
        let begin = Instant::now();
        let mut report = Report::new(job.path.to_string_lossy().into_owned());
        shown.begin()?;
        let span = info_span!(
            "sweep",
            outcome = field::Empty,
            removed = field::Empty,
            failures = field::Empty,
            freed_bytes = field::Empty
        );
        let swept = span.in_scope(|| sweep(arguments, &job, place?, &mut report, &mut shown));
        record(&span, arguments, &report, swept.is_ok());
        if let Err(error) = swept {
            let error = Failure::from(error);
            report.error = Some(error.message().to_owned());
            if all > 1 {
                error.warn(&format!("'{}' is not swept to the end", job.path.display()));
            }
            failures.push(error);
        }
        report.seconds = begin.elapsed().as_secs_f64();
        failed |= report.failed > 0;
        shown.end(&report)?;
    }
    shown.finish()?;
    match failures.first() {
        None => Ok(ExitCode::from(u8::from(failed))),
        Some(_) if all == 1 => Err(failures.remove(0)),
        Some(first) => Err(Usage::Unswept { failed: failures.len(), all, blame: first.blame() }.into()),
    }
}

/// What is to be done, and the directory where it can be opened.
type Opened = (Job, Result<Place, Error>);

/// Opens all directories before anything is removed from any.
///
/// # Errors
/// When one of them is not to be swept: whoever named it did not mean the others as they are, perhaps. One that cannot be opened, since
/// its owner put a link there, or removed it, keeps nobody from the others: that is told when its turn comes.
fn open(jobs: Vec<Job>) -> Result<Vec<Opened>, Error> {
    let open = |job: Job| match job.open() {
        Err(error) if error.is_of_usage() => Err(error),
        place => Ok((job, place)),
    };
    jobs.into_iter().map(open).collect()
}

/// How long the step waits for whoever has the engine alone.
const PATIENCE: Patience = Patience { wait: Duration::from_secs(3600), polite: Duration::ZERO };

/// Sweeps within a cache mount, under the engine's shared lock, as any build: who removes build cache relies on nobody building.
fn cache_mount(arguments: &Arguments, id: &str) -> Result<ExitCode, Failure> {
    if arguments.shown.format == Format::Json {
        return Err(Usage::NoReport.into());
    }
    let (options, image) = (arguments.cache_mount_options.clone(), arguments.cache_mount_image.clone());
    let mount = CacheMount { id: id.into(), options, image, words: arguments.words()? };
    let (store, started) = (arguments.store.open()?, Instant::now());
    let guard = store.share(&format!("ci-build sweep --cache-mount {id}"), PATIENCE, |notice| {
        lock::tell(store.identity(), notice, started);
    })?;
    guard.pass_on()?;
    Ok(ExitCode::from(mount.sweep()?))
}

fn touch(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut kept = 0;
    for path in &arguments.touch {
        let touched = sweep::touch(&Sweeping::place()?, path, arguments.threads())?;
        kept += touched.kept;
        if touched.kept < touched.files {
            let (path, Touched { files, kept }) = (path.display(), touched);
            anstream::eprintln!(
                "warning: '{path}' has {files} files: that they are used is kept of {kept} only"
            );
            anstream::eprintln!("  help: --keep leaves files alone whose use nobody can keep");
        }
    }
    print_line(format!("{kept} files are used now"))?;
    Ok(ExitCode::SUCCESS)
}

/// Tells who watches the host what became of it.
fn record(span: &Span, arguments: &Arguments, report: &Report, is_done: bool) {
    let outcome = match is_done {
        false => "failed",
        true if report.skipped => "skipped",
        true if arguments.dry_run => "dry-run",
        true => "done",
    };
    span.record("outcome", outcome);
    if !arguments.dry_run {
        span.record("removed", report.removed_files).record("failures", report.failed);
        span.record("freed_bytes", report.freed_bytes);
    }
}

fn sweep(
    arguments: &Arguments,
    job: &Job,
    place: Place,
    report: &mut Report,
    shown: &mut Showing,
) -> Result<(), Error> {
    report.path = place.path().to_string_lossy().into_owned();
    let say = |looked: &Looked| {
        looked.clock.note(job.rules.older_than).iter().for_each(|text| note(text));
        for (id, errno) in &looked.scan.unread {
            let path = looked.scan.tree.path(*id);
            let path = String::from_utf8_lossy(&path);
            note(&format!("cannot read {}: {}", path.escape_debug(), io::Error::from(*errno)));
        }
        // Where it was the preset that said where its cache is, there may be nothing in it.
        if !arguments.directories.is_empty() && looked.units.is_empty() && looked.plan.files > 0 {
            let (path, files) = (looked.place.path().display(), looked.plan.files);
            note(&format!(
                "none of the {files} files in '{path}' is what the preset knows: name its cache itself"
            ));
        }
    };
    if arguments.dry_run {
        let looked = job.look(place)?;
        say(&looked);
        for unit in looked.units.all(&looked.scan.tree) {
            Thing::expected(&looked, unit, |thing| shown.thing(&thing));
        }
        report.set(&looked, &Sum::expected(job, &looked));
        return Ok(());
    }
    let mut sum = Sum::default();
    let swept = job.sweep(place, |looked, event| {
        sum.add(event);
        if shown.is_told_each() {
            Thing::happened(looked, event, |thing| shown.thing(&thing));
        }
    });
    report.add(&sum);
    match swept? {
        Some(looked) => {
            say(&looked);
            report.set(&looked, &sum);
        }
        None => report.skipped = true,
    }
    Ok(())
}

fn note(text: &str) {
    anstream::eprintln!("note: {text}");
}
