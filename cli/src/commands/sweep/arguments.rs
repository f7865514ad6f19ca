//! What is asked for.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::format::Shown;
use super::super::store::DockerStore;
use super::super::{duration, size};
use crate::image::ImageName;
use crate::sweep::{By, Empty, Pattern, cache_mount, install, presets};
use crate::switch;

const EXAMPLES: &str = "\
Examples:
  ci-build sweep --dry-run --older-than 7d ~/.cache/huggingface/hub
  ci-build sweep --preset torch,huggingface,pip --max-size 50GB
  ci-build sweep --preset huggingface /data/hub --older-than 30d --keep 'models--bert*'
  ci-build sweep --older-than 12h --by mtime --include '*.o' --ops-per-second 500 /build/scratch
  ci-build sweep --touch /data/hub/models--bert-base
  ci-build sweep --preset tmp --install systemd

What was not used for --older-than goes, and of the rest the least recently used until --max-size and --max-files hold. What is open, \
locked, mounted, or was used since it was looked at stays. No symbolic link is followed. docs/sweep.md tells the rest.

Exit codes: 0 fine, or another sweep is at work there; 1 something could not be removed; 2 wrong usage, or a directory that is not \
swept; 125 our own failure";

/// Remove from caches what was not used for long, and nothing that is in use
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The directories to sweep; with one --preset, as caches of that kind
    #[arg(value_name = "DIR", env = "CI_BUILD_SWEEP_DIR", value_delimiter = ':')]
    pub(super) directories: Vec<PathBuf>,
    /// Sweep the caches of these tools, where they usually are [repeatable]
    #[arg(long, value_name = "NAME", env = "CI_BUILD_SWEEP_PRESET", value_delimiter = ',')]
    pub(super) preset: Vec<presets::Name>,
    /// Remove what was not used for this long [default: 7d, unless --max-size or --max-files is given]
    #[arg(long, value_name = "TIME", env = "CI_BUILD_SWEEP_OLDER_THAN", value_parser = duration::parse)]
    pub(super) older_than: Option<Duration>,
    /// What counts as use
    #[arg(long, value_enum, env = "CI_BUILD_SWEEP_BY", default_value_t)]
    pub(super) by: ByArgument,
    /// Remove the least recently used until a directory takes no more than this on the disk
    #[arg(long, value_name = "SIZE", env = "CI_BUILD_SWEEP_MAX_SIZE", value_parser = size::parse)]
    pub(super) max_size: Option<u64>,
    /// Remove the least recently used until a directory has no more files than this
    #[arg(long, value_name = "N", env = "CI_BUILD_SWEEP_MAX_FILES")]
    pub(super) max_files: Option<u64>,
    /// Leave alone what was used within this time, whatever the sizes [default: 10m, or --older-than if that is shorter]
    #[arg(long, value_name = "TIME", env = "CI_BUILD_SWEEP_GRACE", value_parser = duration::parse)]
    pub(super) grace: Option<Duration>,
    /// Remove only such files; patterns as in .gitignore [repeatable; default: any]
    #[arg(long, value_name = "PATTERN", env = "CI_BUILD_SWEEP_INCLUDE", value_delimiter = ',')]
    pub(super) include: Vec<Pattern>,
    /// Leave such files alone, and do not count them [repeatable]
    #[arg(long, value_name = "PATTERN", env = "CI_BUILD_SWEEP_EXCLUDE", value_delimiter = ',')]
    pub(super) exclude: Vec<Pattern>,
    /// Leave such files alone, and count them [repeatable]
    #[arg(long, value_name = "PATTERN", env = "CI_BUILD_SWEEP_KEEP", value_delimiter = ',')]
    pub(super) keep: Vec<Pattern>,
    /// Whose files may go: a user, a number, `self` or `any` [repeatable; default: any for root, else self]
    #[arg(long, value_name = "USER", env = "CI_BUILD_SWEEP_OWNER", value_delimiter = ',')]
    pub(super) owner: Vec<String>,
    /// Sweep a directory also if it is a whole file system, such as a volume
    #[arg(long, env = "CI_BUILD_SWEEP_WHOLE_FILE_SYSTEM", value_parser = switch::parse)]
    pub(super) whole_file_system: bool,
    /// Which empty directories go [default: now; a preset may have another]
    #[arg(long, value_enum, env = "CI_BUILD_SWEEP_EMPTY")]
    pub(super) empty: Option<EmptyArgument>,
    /// After so many removals, or a second, look again who has what open, and let tools have their locks
    #[arg(long, value_name = "N", env = "CI_BUILD_SWEEP_BATCH", default_value = "1000")]
    pub(super) batch: NonZero<u32>,
    /// Remove so many files a second at most [default: no limit]
    #[arg(long, value_name = "N", env = "CI_BUILD_SWEEP_OPS_PER_SECOND")]
    pub(super) ops_per_second: Option<NonZero<u32>>,
    /// At which priority the disk is used
    #[arg(long, value_enum, env = "CI_BUILD_SWEEP_IO", default_value_t)]
    pub(super) io: Io,
    /// How many threads look and remove [default: two a core, at most 8]
    #[arg(long, value_name = "N", env = "CI_BUILD_SWEEP_THREADS")]
    pub(super) threads: Option<NonZero<u32>>,
    /// How long to wait for a tool's own lock of its cache
    #[arg(long, value_name = "TIME", env = "CI_BUILD_SWEEP_WAIT", default_value = "10s", value_parser = duration::parse)]
    pub(super) wait: Duration,
    /// Write down there what was removed [default: sweep/trail.jsonl in the state directory]
    #[arg(long, value_name = "FILE", env = "CI_BUILD_SWEEP_TRAIL")]
    pub(super) trail: Option<PathBuf>,
    /// Remove nothing, and say what would go
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Tell of each thing, not only of the whole
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Sweep within the cache mount of this id, by a step of a build that has it under its lock; with one --preset, as a cache of that kind
    #[arg(long, value_name = "ID", conflicts_with_all = ["touch", "install", "directories", "owner", "trail"])]
    pub(super) cache_mount: Option<String>,
    /// The uid=, gid= and mode= of that mount, where it has any: with others it is another cache
    #[arg(long, value_name = "OPTIONS", value_parser = cache_mount::options, requires = "cache_mount")]
    pub(super) cache_mount_options: Option<String>,
    /// The image in which that step runs this program, where it needs a C library [default: none]
    #[arg(long, value_name = "REF", env = "CI_BUILD_SWEEP_CACHE_MOUNT_IMAGE")]
    pub(super) cache_mount_image: Option<ImageName>,
    /// Remove nothing, and write down that all in these files and directories is used now, where a mount does not keep it
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "dry_run")]
    pub(super) touch: Vec<PathBuf>,
    /// Remove nothing, and print what sweeps so every day
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) install: Option<install::Scheduler>,
    /// With --install, write the files into this directory instead
    #[arg(long, value_name = "DIR", requires = "install")]
    pub(super) install_to: Option<PathBuf>,
    /// With --cache-mount, whose engine builds
    #[command(flatten)]
    pub(super) store: DockerStore,
    #[command(flatten)]
    pub(super) shown: Shown,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ByArgument {
    /// The newest of atime, mtime and our own record
    #[default]
    LastUse,
    /// When it was read last, as far as the mount keeps that
    Atime,
    /// When it was changed last
    Mtime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EmptyArgument {
    /// Those that are old, also if they are empty only now
    Now,
    /// Those that are old and were empty already
    Later,
    /// None
    Never,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Io {
    /// When nobody else wants the disk
    #[default]
    Idle,
    /// As everybody
    Normal,
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
