//! `ci-build frontend save`.

use std::fs::Permissions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Name, Source};
use crate::error::{Blame, Explain, Failure};

const EXAMPLES: &str = "\
Examples:
  ci-build frontend save frontend.tar
  ci-build frontend save - | ssh builder docker load
  skopeo copy oci-archive:frontend.tar docker://registry.example/ci-build/frontend

The archive is an OCI image layout that `docker load` of any engine reads too.";

/// Write the image to a file, as an OCI image layout in a tar archive
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to write the archive; - is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    name: Name,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("will not write an archive to a terminal")]
    Terminal,
    #[error("cannot write the archive to {}", shown(file))]
    Unwritable { file: PathBuf, source: std::io::Error },
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        match self {
            Error::Terminal => Blame::Input,
            Error::Unwritable { .. } => Blame::Surroundings,
        }
    }
    fn help(&self) -> Vec<String> {
        match self {
            Error::Terminal => vec!["name a file, or send standard output to one".into()],
            Error::Unwritable { .. } => Vec::new(),
        }
    }
}

const STDOUT: &str = "-";

fn shown(file: &Path) -> String {
    if file.as_os_str() == STDOUT { "standard output".into() } else { format!("'{}'", file.display()) }
}

pub(super) fn run(Arguments { file, source, name: Name { name } }: &Arguments) -> Result<(), Failure> {
    let to_stdout = file.as_os_str() == STDOUT;
    if to_stdout && std::io::stdout().is_terminal() {
        return Err(Error::Terminal.into());
    }
    let archive = source.image()?.archive(name);
    let written = if to_stdout {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&archive).and_then(|()| stdout.flush())
    } else {
        write(file, &archive)
    };
    written.map_err(|source| Error::Unwritable { file: file.clone(), source }.into())
}

/// Writes a file that is either whole or not there. What exists and is no plain file (a device, a pipe) is
/// written to, never replaced.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if std::fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(file)?.write_all(bytes);
    }
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // As readable as a file that any other tool writes: the umask decides.
    let mut part =
        tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(directory)?;
    part.write_all(bytes)?;
    part.persist(file)?;
    Ok(())
}
