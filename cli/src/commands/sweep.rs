//! `ci-build sweep`.

use std::io::{self, BufWriter, Write as _};
use std::num::NonZero;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tracing::{Span, field, info_span};

use super::format::{Format, Shown};
use super::{ShellError, duration, print_line, size};
use crate::error::{Blame, Explain, Failure};
use crate::image::ImageName;
use crate::store::Sweeping;
use crate::sweep::cache_mount::CacheMount;
use crate::sweep::report::{Document, Report, Sum, Thing};
use crate::sweep::{
    self, Allowed, By, Empty, Error, How, Job, Layout, Looked, Owners, Pattern, Place, Rules,
};
use crate::sweep::{install, pace, presets};
use crate::switch;

const EXAMPLES: &str = "\
Examples:
  ci-build sweep --dry-run --older-than 7d ~/.cache/huggingface/hub
  ci-build sweep --preset torch,huggingface,pip --max-size 50GB
  ci-build sweep --preset huggingface /data/hub --older-than 30d --keep 'models--bert*'
  ci-build sweep --older-than 12h --by mtime --include '*.o' --ops-per-second 500 /build/scratch
  ci-build sweep --touch /data/hub/models--bert-base
  ci-build sweep --preset tmp --install systemd

What was not used for --older-than goes, and of the rest the least recently used until --max-size and --max-files hold. What is open,
locked, mounted, or was used since it was looked at stays. No symbolic link is followed. docs/sweep.md tells the rest.

Exit codes: 0 fine, or another sweep is at work there; 1 something could not be removed; 2 wrong usage, or a directory that is not
swept; 125 our own failure";

/// Remove from caches what was not used for long, and nothing that is in use
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The directories to sweep; with one --preset, as caches of that kind
    #[arg(value_name = "DIR", env = "CI_BUILD_SWEEP_DIR", value_delimiter = ':')]
    directories: Vec<PathBuf>,
    /// Sweep the caches of these tools, where they usually are [repeatable]
    #[arg(long, value_name = "NAME", env = "CI_BUILD_SWEEP_PRESET", value_delimiter = ',')]
    preset: Vec<presets::Name>,
    /// Remove what was not used for this long [default: 7d, unless --max-size or --max-files is given]
    #[arg(long, value_name = "TIME", env = "CI_BUILD_SWEEP_OLDER_THAN", value_parser = duration::parse)]
    older_than: Option<Duration>,
    /// What counts as use
    #[arg(long, value_enum, env = "CI_BUILD_SWEEP_BY", default_value_t)]
    by: ByArgument,
    /// Remove the least recently used until a directory takes no more than this on the disk
    #[arg(long, value_name = "SIZE", env = "CI_BUILD_SWEEP_MAX_SIZE", value_parser = size::parse)]
    max_size: Option<u64>,
    /// Remove the least recently used until a directory has no more files than this
    #[arg(long, value_name = "N", env = "CI_BUILD_SWEEP_MAX_FILES")]
    max_files: Option<u64>,
    /// Leave alone what was used within this time, whatever the sizes [default: 10m, or --older-than if that is shorter]
    #[arg(long, value_name = "TIME", env = "CI_BUILD_SWEEP_GRACE", value_parser = duration::parse)]
    grace: Option<Duration>,
    /// Remove only such files; patterns as in .gitignore [repeatable; default: any]
    #[arg(long, value_name = "PATTERN", env = "CI_BUILD_SWEEP_INCLUDE", value_delimiter = ',')]
    include: Vec<Pattern>,
    /// Leave such files alone, and do not count them [repeatable]
    #[arg(long, value_name = "PATTERN", env = "CI_BUILD_SWEEP_EXCLUDE", value_delimiter = ',')]
    exclude: Vec<Pattern>,
    /// Leave such files alone, and count them [repeatable]
    #[arg(long, value_name = "PATTERN", env = "CI_BUILD_SWEEP_KEEP", value_delimiter = ',')]
    keep: Vec<Pattern>,
    /// Whose files may go: a user, a number, `self` or `any` [repeatable; default: any for root, else self]
    #[arg(long, value_name = "USER", env = "CI_BUILD_SWEEP_OWNER", value_delimiter = ',')]
    owner: Vec<String>,
    /// Sweep a directory also if it is a whole file system, such as a volume
    #[arg(long, env = "CI_BUILD_SWEEP_WHOLE_FILE_SYSTEM", value_parser = switch::parse)]
    whole_file_system: bool,
    /// Which empty directories go [default: now; a preset may have another]
    #[arg(long, value_enum, env = "CI_BUILD_SWEEP_EMPTY")]
    empty: Option<EmptyArgument>,
    /// After so many removals look again who has what open, and let tools have their locks
    #[arg(long, value_name = "N", env = "CI_BUILD_SWEEP_BATCH", default_value = "1000")]
    batch: NonZero<u32>,
    /// Remove so many files a second at most [default: no limit]
    #[arg(long, value_name = "N", env = "CI_BUILD_SWEEP_OPS_PER_SECOND")]
    ops_per_second: Option<NonZero<u32>>,
    /// At which priority the disk is used
    #[arg(long, value_enum, env = "CI_BUILD_SWEEP_IO", default_value_t)]
    io: Io,
    /// How many threads look [default: one a core, at most 8]
    #[arg(long, value_name = "N", env = "CI_BUILD_SWEEP_THREADS")]
    threads: Option<NonZero<u32>>,
    /// How long to wait for a tool's own lock of its cache
    #[arg(long, value_name = "TIME", env = "CI_BUILD_SWEEP_WAIT", default_value = "10s", value_parser = duration::parse)]
    wait: Duration,
    /// Write down there what was removed [default: sweep/trail.jsonl in the state directory]
    #[arg(long, value_name = "FILE", env = "CI_BUILD_SWEEP_TRAIL")]
    trail: Option<PathBuf>,
    /// Remove nothing, and say what would go
    #[arg(long)]
    dry_run: bool,
    /// Tell of each thing, not only of the whole
    #[arg(long, short)]
    verbose: bool,
    /// Sweep within the cache mount of this id, by a step of a build that has it under its lock; with one --preset, as a cache of that kind
    #[arg(long, value_name = "ID", conflicts_with_all = ["touch", "install"])]
    cache_mount: Option<String>,
    /// The image in which that step runs this program, where it needs a C library [default: none]
    #[arg(long, value_name = "REF", env = "CI_BUILD_SWEEP_CACHE_MOUNT_IMAGE")]
    cache_mount_image: Option<ImageName>,
    /// Remove nothing, and write down that all in these files and directories is used now, where a mount does not keep it
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "dry_run")]
    touch: Vec<PathBuf>,
    /// Remove nothing, and print what sweeps so every day
    #[arg(long, value_enum, value_name = "WHAT")]
    install: Option<install::Scheduler>,
    /// With --install, write the files into this directory instead
    #[arg(long, value_name = "DIR", requires = "install")]
    install_to: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ByArgument {
    /// The newest of atime, mtime and our own record
    #[default]
    LastUse,
    /// When it was read last, as far as the mount keeps that
    Atime,
    /// When it was changed last
    Mtime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EmptyArgument {
    /// Those that are old, also if they are empty only now
    Now,
    /// Those that are old and were empty already
    Later,
    /// None
    Never,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Io {
    /// When nobody else wants the disk
    #[default]
    Idle,
    /// As everybody
    Normal,
}

/// What makes no sense together.
#[derive(Debug, thiserror::Error)]
enum Usage {
    #[error("nothing to sweep: neither a directory nor --preset is given")]
    Nothing,
    #[error("directories are given with several presets, so it is not known which are of which kind")]
    Kinds,
    #[error("--grace {} is longer than --older-than {}, so nothing old would go", crate::store::shown(*grace), crate::store::shown(*older_than))]
    Grace { grace: Duration, older_than: Duration },
    #[error("there is no user '{0}'")]
    User(String),
    #[error("cannot write '{}'", path.display())]
    Install { path: PathBuf, source: io::Error },
}

impl Explain for Usage {
    fn blame(&self) -> Blame {
        match self {
            Self::Install { .. } => Blame::Surroundings,
            _ => Blame::Input,
        }
    }

    fn help(&self) -> Vec<String> {
        vec![match self {
            Self::Nothing => {
                "name a directory, or a tool: `ci-build sweep --preset torch,huggingface`".into()
            }
            Self::Kinds => "one command for each preset".into(),
            Self::Grace { older_than, .. } => {
                format!("give --grace {} or less", crate::store::shown(*older_than))
            }
            Self::User(_) => "name one of /etc/passwd, a number, `self` or `any`".into(),
            Self::Install { .. } => "without --install-to it is printed".into(),
        }]
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if !arguments.touch.is_empty() {
        return arguments.touch();
    }
    if let Some(id) = &arguments.cache_mount {
        let (id, image, words) = (id.clone(), arguments.cache_mount_image.clone(), arguments.words()?);
        return Ok(ExitCode::from(CacheMount { id, image, words }.sweep()?));
    }
    let jobs = arguments.jobs()?;
    if let Some(scheduler) = arguments.install {
        return arguments.install(scheduler, &jobs);
    }
    // All are opened before anything is removed from any.
    let places: Vec<(Job, Place)> =
        jobs.into_iter().map(|job| job.open().map(|place| (job, place))).collect::<Result<_, Error>>()?;
    if !arguments.dry_run
        && arguments.io == Io::Idle
        && let Err(why) = pace::idle()
    {
        note(&why);
    }
    let mut shown = Showing::new(arguments)?;
    let (mut failure, mut failed) = (None, false);
    for (job, place) in places {
        let begin = Instant::now();
        let mut report = Report::new(place.path().to_string_lossy().into_owned());
        shown.begin()?;
        let span = info_span!(
            "sweep",
            outcome = field::Empty,
            removed = field::Empty,
            failures = field::Empty,
            freed_bytes = field::Empty
        );
        let swept = span.in_scope(|| sweep(arguments, &job, place, &mut report, &mut shown));
        record(&span, arguments, &report, swept.is_ok());
        if let Err(error) = swept {
            let error = Failure::from(error);
            report.error = Some(error.message().to_owned());
            failure.get_or_insert(error);
        }
        report.seconds = begin.elapsed().as_secs_f64();
        failed |= report.failed > 0;
        shown.end(&report)?;
    }
    shown.finish()?;
    match failure {
        Some(failure) => Err(failure),
        None => Ok(ExitCode::from(u8::from(failed))),
    }
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
    let say = |looked: &Looked| {
        looked.clock.note(job.rules.older_than).iter().for_each(|text| note(text));
        for (id, errno) in &looked.scan.unread {
            let path = looked.scan.tree.path(*id);
            let path = String::from_utf8_lossy(&path);
            note(&format!("cannot read {}: {}", path.escape_debug(), io::Error::from(*errno)));
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
        Thing::happened(looked, event, |thing| shown.thing(&thing));
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

/// What is told while it happens. Whoever stopped reading still wants the caches to be swept, so nothing of it is an error before
/// the end.
enum Showing {
    Text { each: bool, dry_run: bool },
    Json(Box<Document<BufWriter<io::Stdout>>>),
}

impl Showing {
    fn new(arguments: &Arguments) -> Result<Self, ShellError> {
        let dry_run = arguments.dry_run;
        Ok(match arguments.shown.format {
            Format::Text => Self::Text { each: arguments.verbose || dry_run, dry_run },
            Format::Json => {
                let out = BufWriter::new(io::stdout());
                Self::Json(Box::new(Document::new(out, dry_run).map_err(ShellError::Stdout)?))
            }
        })
    }

    fn begin(&mut self) -> Result<(), ShellError> {
        match self {
            Self::Text { .. } => Ok(()),
            Self::Json(document) => document.begin().map_err(ShellError::Stdout),
        }
    }

    fn thing(&mut self, thing: &Thing<'_>) {
        let _ = match self {
            Self::Text { each: false, .. } => Ok(()),
            Self::Text { .. } => writeln!(io::stdout().lock(), "{}", thing.line()),
            Self::Json(document) => document.thing(thing),
        };
    }

    fn end(&mut self, report: &Report) -> Result<(), Failure> {
        match self {
            Self::Text { dry_run, .. } => print_line(report.line(*dry_run)),
            Self::Json(document) => Ok(document.end(report).map_err(ShellError::Stdout)?),
        }
    }

    fn finish(self) -> Result<(), ShellError> {
        match self {
            Self::Text { .. } => Ok(()),
            Self::Json(document) => document.finish().map_err(ShellError::Stdout),
        }
    }
}

fn note(text: &str) {
    anstream::eprintln!("note: {text}");
}

impl Arguments {
    fn touch(&self) -> Result<ExitCode, Failure> {
        let mut files = 0;
        for path in &self.touch {
            files += sweep::touch(&Sweeping::place()?, path, self.threads())?;
        }
        print_line(format!("{files} files are used now"))?;
        Ok(ExitCode::SUCCESS)
    }

    fn install(&self, scheduler: install::Scheduler, jobs: &[Job]) -> Result<ExitCode, Failure> {
        let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/ci-build".into());
        // It runs somewhere else.
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let directories: Vec<_> = jobs.iter().map(|job| absolute(&job.path)).collect();
        let words = std::env::args_os().skip(1).map(|word| {
            let is_directory = self.directories.iter().any(|path| path.as_os_str() == word);
            let word = if is_directory { absolute(&PathBuf::from(word)).into_os_string() } else { word };
            word.to_string_lossy().into_owned()
        });
        let words: Vec<String> = words.collect();
        let presets = self.preset.iter().filter_map(|name| name.preset());
        let environment = presets::environment(presets, |name| std::env::var(name).ok());
        let user = environment.get("HOME").and_then(|home| owner(home.as_ref()));
        let setup =
            install::Setup { program, words: install::without(&words), directories, environment, user };
        let files = scheduler.files(&setup);
        match &self.install_to {
            None => {
                for file in &files {
                    print_line(format!("# {}\n{}", file.place, file.text))?;
                }
            }
            Some(directory) => {
                for file in &files {
                    let name = file.place.rsplit('/').next().unwrap_or_default();
                    let path = directory.join(name);
                    std::fs::write(&path, &file.text)
                        .map_err(|source| Usage::Install { path: path.clone(), source })?;
                    print_line(path.display())?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn threads(&self) -> usize {
        const MOST: usize = 8;
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST);
        self.threads.map_or_else(cores, |threads| threads.get() as usize)
    }

    /// What is to be swept. Presets whose caches are not there are passed over.
    fn jobs(&self) -> Result<Vec<Job>, Failure> {
        let template = self.job()?;
        let places = || self.preset.iter().filter_map(|name| name.preset()).flat_map(|preset| &preset.places);
        let of_place = |place: &presets::Place, path: PathBuf| {
            let mut job = template.clone();
            job.path = path;
            job.layout = place.layout;
            // A test reads all of them.
            job.rules.exclude.extend(place.exclude.iter().filter_map(|pattern| pattern.parse().ok()));
            job.locks.clone_from(&place.locks);
            job.how.empty = self.empty.map_or(place.empty, Into::into);
            job.allowed.whole_file_system |= place.whole_file_system;
            job.allowed.home |= place.home;
            job
        };
        let job_of = |path: &PathBuf| Job { path: path.clone(), ..template.clone() };
        match (&*self.directories, &*self.preset) {
            ([], []) => Err(Usage::Nothing.into()),
            (directories, []) => Ok(directories.iter().map(job_of).collect()),
            ([], _) => {
                let there = |place: &presets::Place| {
                    place.path(|name| std::env::var_os(name)).filter(|path| path.is_dir())
                };
                let jobs: Vec<Job> =
                    places().filter_map(|place| Some(of_place(place, there(place)?))).collect();
                if jobs.is_empty() {
                    note("nothing to sweep: none of these caches is there");
                }
                Ok(jobs)
            }
            (directories, [_]) => {
                let place = places().next().ok_or(Usage::Nothing)?;
                Ok(directories.iter().map(|path| of_place(place, path.clone())).collect())
            }
            _ => Err(Usage::Kinds.into()),
        }
    }

    /// All but the directory.
    fn job(&self) -> Result<Job, Failure> {
        const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
        const GRACE: Duration = Duration::from_secs(600);
        let is_limited = self.max_size.is_some() || self.max_files.is_some();
        let older_than = self.older_than.or((!is_limited).then_some(WEEK));
        let grace = self.grace.unwrap_or_else(|| older_than.unwrap_or(GRACE).min(GRACE));
        if let Some(older_than) = older_than.filter(|&time| grace > time) {
            return Err(Usage::Grace { grace, older_than }.into());
        }
        let rules = Rules {
            older_than,
            max_size: self.max_size,
            max_files: self.max_files,
            grace,
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            keep: self.keep.clone(),
        };
        let how = How {
            owners: self.owners()?,
            batch: self.batch.get() as usize,
            per_second: self.ops_per_second.map(NonZero::get),
            empty: self.empty.map_or(Empty::Now, Into::into),
        };
        Ok(Job {
            path: PathBuf::new(),
            layout: Layout::Files,
            rules,
            by: self.by.into(),
            how,
            allowed: Allowed { whole_file_system: self.whole_file_system, home: false },
            locks: Vec::new(),
            wait: self.wait,
            threads: self.threads(),
            state: Sweeping::place()?,
            trail: self.trail.clone(),
        })
    }

    /// What is asked for in words, but for what belongs to a directory or to this host.
    fn words(&self) -> Result<Vec<String>, Failure> {
        let job = self.job()?;
        let Rules { older_than, max_size, max_files, grace, include, exclude, keep } = &job.rules;
        let mut words = Vec::new();
        let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        let seconds = |time: &Duration| format!("{}ms", time.as_millis());
        older_than.iter().for_each(|time| flag("older-than", seconds(time)));
        max_size.iter().for_each(|size| flag("max-size", format!("{size}B")));
        max_files.iter().for_each(|files| flag("max-files", files.to_string()));
        flag("grace", seconds(grace));
        for (name, patterns) in [("include", include), ("exclude", exclude), ("keep", keep)] {
            patterns.iter().for_each(|pattern| flag(name, pattern.to_string()));
        }
        self.preset.iter().for_each(|name| flag("preset", name.to_string()));
        self.ops_per_second.iter().for_each(|rate| flag("ops-per-second", rate.to_string()));
        flag("batch", self.batch.to_string());
        for (name, value) in [
            ("by", self.by.to_possible_value()),
            ("empty", self.empty.and_then(|empty| empty.to_possible_value())),
        ] {
            value.iter().for_each(|value| flag(name, value.get_name().into()));
        }
        words.extend(self.dry_run.then(|| "--dry-run".into()));
        words.extend(self.verbose.then(|| "--verbose".into()));
        Ok(words)
    }

    fn owners(&self) -> Result<Owners, Usage> {
        let own = rustix::process::geteuid();
        let mut users = Vec::new();
        for name in &self.owner {
            match (name.as_str(), name.parse()) {
                ("any", _) => return Ok(Owners::Any),
                ("self", _) => users.push(own.as_raw()),
                (_, Ok(number)) => users.push(number),
                (name, Err(_)) => users.push(user(name).ok_or_else(|| Usage::User(name.into()))?),
            }
        }
        Ok(match users.is_empty() {
            true if own.is_root() => Owners::Any,
            true => Owners::Only(vec![own.as_raw()]),
            false => Owners::Only(users),
        })
    }
}

/// The number of a user of this host (passwd(5)).
fn user(name: &str) -> Option<u32> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split(':').nth(1)?.parse().ok()
}

/// Whose a home directory is, by name; none where it is root's. A user without a name has a number, which cron takes for nobody.
fn owner(home: &Path) -> Option<String> {
    let owner = std::fs::metadata(home).ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|line| line.get(2).and_then(|number| number.parse().ok()) == Some(owner));
    (owner != 0).then(|| line.map_or_else(|| owner.to_string(), |line| line[0].to_owned()))
}

impl From<ByArgument> for By {
    fn from(by: ByArgument) -> Self {
        match by {
            ByArgument::LastUse => Self::LastUse,
            ByArgument::Atime => Self::Atime,
            ByArgument::Mtime => Self::Mtime,
        }
    }
}

impl From<EmptyArgument> for Empty {
    fn from(empty: EmptyArgument) -> Self {
        match empty {
            EmptyArgument::Now => Self::Now,
            EmptyArgument::Later => Self::Later,
            EmptyArgument::Never => Self::Never,
        }
    }
}
