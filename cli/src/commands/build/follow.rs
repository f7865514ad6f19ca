//! What is seen of a build in the engine: waits, which are told, and how long its steps took, which the next build is told.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use ci_build_frontend::llb::step_called;
use ci_build_frontend::plan::Durations;
use jiff::Timestamp;

use crate::build::{self, Asked, Source, Steps, Told, Watch};
use crate::engine::Endpoint;
use crate::lapse;
use crate::store::{Identity, Process, Store};

/// So many steps of a build are remembered: their document has to fit into one argument of a command, with much to spare.
const MOST: usize = 1000;

/// What is told of one wait.
type Line = (String, String);

/// A build that is followed.
pub(super) struct Followed {
    watch: Watch,
    /// For each step that waited, what is told when the build has ended.
    late: Arc<Mutex<Vec<Line>>>,
}

/// When waits may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// At once: buildx prints lines, or nothing.
    AtOnce,
    /// When buildx has ended: it draws on the terminal until then.
    Afterwards,
    /// Never: what it prints is read by a program.
    Never,
}

impl Moment {
    fn of(progress: Option<&str>, is_terminal: bool) -> Self {
        match progress {
            Some("rawjson") => Self::Never,
            Some("plain" | "quiet" | "none") => Self::AtOnce,
            Some("tty") => Self::Afterwards,
            _ if is_terminal => Self::Afterwards,
            _ => Self::AtOnce,
        }
    }
}

impl Followed {
    /// Follows the build with this mark, where the engine is known.
    pub(super) fn start(mark: String, asked: &Asked, store: &Store) -> Option<Self> {
        let endpoint = Endpoint::of_this_process().ok()?;
        let variable = std::env::var("BUILDKIT_PROGRESS").ok();
        let progress = asked.progress.as_deref().or(variable.as_deref());
        let moment = Moment::of(progress, std::io::stderr().is_terminal());
        let late = Arc::new(Mutex::new(Vec::<Line>::new()));
        let told = Arc::clone(&late);
        let store = store.identity().clone();
        let watch = Watch::start(endpoint.address, mark, move |wait| {
            let step = wait.wait.step.clone();
            let line = shown(&wait, |mark| command_of(&store, mark));
            match moment {
                Moment::AtOnce => anstream::eprintln!("{line}"),
                Moment::Never => {}
                Moment::Afterwards => {
                    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                    told.retain(|(of, _)| *of != step);
                    told.push((step, line));
                }
            }
        });
        Some(Self { watch, late })
    }

    /// The steps of the build, which has ended.
    pub(super) fn finish(self) -> Steps {
        let steps = self.watch.finish();
        for (_, line) in self.late.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            anstream::eprintln!("{line}");
        }
        steps
    }
}

/// A wait in one line. Names are others' text.
fn shown(Told { wait, other }: &Told, command: impl Fn(&str) -> Option<String>) -> String {
    let clean = |text: &str| text.replace(char::is_control, " ");
    let of = match (wait.build, other.as_deref().and_then(command)) {
        (0, _) => String::new(),
        (_, Some(command)) => format!(" of another build: {}", clean(&command)),
        (_, None) => " of another build".to_owned(),
    };
    format!(
        "waiting: {} has waited {} for the cache {}, which is held by {}{of}",
        clean(&wait.step),
        lapse::shown(wait.waited),
        wait.cache,
        clean(&wait.holder),
    )
}

/// What a build of ours is known by in the engine, and by its record in the store.
pub(super) fn mark() -> Option<String> {
    let Process { pid, start, .. } = Process::this()?;
    Some(format!("{pid}-{start}-{}", Timestamp::now().as_nanosecond()))
}

/// What somebody else calls the build with this mark.
fn command_of(store: &Identity, mark: &str) -> Option<String> {
    let mut parts = mark.split('-');
    let (pid, start): (u32, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let records = Store::open(store.clone()).ok()?.records().ok()?;
    let is_it = |process: &Process| process.pid == pid && process.start == start;
    records
        .into_iter()
        .find(|record| record.process.as_ref().is_some_and(is_it))
        .map(|record| record.to_string())
}

/// How long the steps of a Dockerfile's earlier builds took, in one store.
pub(super) struct Known<'s> {
    store: &'s Store,
    subject: String,
}

impl<'s> Known<'s> {
    /// By the Dockerfile's path, which most CI systems keep from job to job.
    pub(super) fn of(store: &'s Store, source: &Source, asked: &Asked) -> Self {
        let whole = |path: &std::path::Path| std::fs::canonicalize(path).ok();
        let subject = match source.path.as_deref().and_then(whole) {
            Some(path) => path.display().to_string(),
            None => {
                let here = std::env::current_dir().unwrap_or_default();
                let word = |word: &Option<std::ffi::OsString>| word.clone().unwrap_or_default();
                format!(
                    "{}\0{}\0{}",
                    here.display(),
                    word(&asked.context).display(),
                    word(&asked.file).display()
                )
            }
        };
        Self { store, subject }
    }

    /// What is known; nothing where it cannot be read.
    pub(super) fn durations(&self) -> Durations {
        let document = self.store.durations().ok().and_then(|memory| memory.read(&self.subject));
        document.and_then(|document| Durations::parse(&document).ok()).unwrap_or_default()
    }

    /// Remembers how long the steps of a build took. What cannot be remembered is measured again.
    pub(super) fn record(&self, steps: &Steps) {
        let called = |name: &str| step_called(name);
        let measured: Vec<_> = build::durations(steps)
            .map(|(step, duration)| (called(&step.name), duration))
            .filter(|(step, _)| is_work(&step.title))
            .collect();
        if measured.is_empty() {
            return;
        }
        let mut durations = self.durations();
        let before = durations.clone();
        durations.record(measured.iter().map(|(step, duration)| (step, *duration)));
        let there: Vec<_> = steps.iter().map(|step| called(&step.name)).collect();
        durations.keep(MOST, &there);
        if durations != before {
            let _ =
                self.store.durations().and_then(|memory| memory.write(&self.subject, &durations.to_string()));
        }
    }
}

/// Whether a step is one that a Dockerfile has.
fn is_work(title: &str) -> bool {
    ["RUN ", "COPY ", "ADD ", "WORKDIR "].iter().any(|keyword| title.starts_with(keyword))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Wait;

    #[test]
    fn waits_are_told_when_they_harm_nothing() {
        let of = Moment::of;
        assert_eq!([of(None, true), of(Some("auto"), true), of(Some("tty"), false)], [Moment::Afterwards; 3]);
        assert_eq!([of(None, false), of(Some("plain"), true), of(Some("quiet"), true)], [Moment::AtOnce; 3]);
        assert_eq!(of(Some("rawjson"), false), Moment::Never);
    }

    #[test]
    fn a_wait_names_who_waits_and_who_has_it() {
        let wait = |build| Wait {
            step: "[b 2/2] RUN make".into(),
            cache: "/c".into(),
            waited: std::time::Duration::from_millis(7300),
            holder: "[a 2/2] RUN\u{1b}[31m mvn".into(),
            build,
        };
        let told = |build, other: Option<&str>| {
            shown(&Told { wait: wait(build), other: other.map(str::to_owned) }, |mark| {
                (mark == "7-1").then(|| "'docker buildx build .', pid 7, for 9s".into())
            })
        };
        insta::assert_snapshot!(told(0, None), @"waiting: [b 2/2] RUN make has waited 7s for the cache /c, which is held by [a 2/2] RUN [31m mvn");
        insta::assert_snapshot!(told(1, None), @"waiting: [b 2/2] RUN make has waited 7s for the cache /c, which is held by [a 2/2] RUN [31m mvn of another build");
        insta::assert_snapshot!(told(1, Some("7-1")), @"waiting: [b 2/2] RUN make has waited 7s for the cache /c, which is held by [a 2/2] RUN [31m mvn of another build: 'docker buildx build .', pid 7, for 9s");
    }
}
