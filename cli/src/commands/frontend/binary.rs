//! Where the frontend's binary is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Blame, Explain};

const FILE_NAME: &str = "ci-build-frontend";

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot find the frontend's binary")]
    Nowhere(Vec<PathBuf>),
    #[error("'{}' is not a file", .0.display())]
    NotAFile(PathBuf),
    #[error("cannot read the frontend's binary '{}'", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
}

impl Explain for Error {
    fn blame(&self) -> Blame {
        Blame::Input
    }
    fn help(&self) -> Vec<String> {
        let name = "name it with --binary PATH or CI_BUILD_FRONTEND_BINARY".to_owned();
        match self {
            Error::Nowhere(places) => vec![
                "the Debian package and the archive have it, `cargo install` does not (docs/install.md)"
                    .into(),
                format!("put it at {}", quoted(places)),
                format!("or {name}"),
            ],
            Error::NotAFile(_) | Error::Unreadable { .. } => vec![name],
        }
    }
}

/// The binary that the user named, else the first of the usual places that has one.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    // Resolved, so that a symbolic link in a bin directory leads to where the package is.
    let program = std::env::current_exe().and_then(fs::canonicalize).unwrap_or_default();
    let places = places(&program);
    places.iter().find(|place| place.is_file()).cloned().ok_or(Error::Nowhere(places))
}

/// The whole binary. A named pipe or a device is refused before it is opened: it may never end.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    fs::read(path).map_err(unreadable)
}

/// Where a package or a build puts the frontend, given where it put this program.
fn places(program: &Path) -> Vec<PathBuf> {
    let Some(beside) = program.parent() else { return Vec::new() };
    let lib = beside.parent().map(|above| above.join("lib/ci-build").join(FILE_NAME));
    std::iter::once(beside.join(FILE_NAME)).chain(lib).collect()
}

fn quoted(places: &[PathBuf]) -> String {
    places.iter().map(|place| format!("'{}'", place.display())).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_lies_beside_the_program_or_in_the_packages_lib() {
        let found: Vec<_> =
            places(Path::new("/opt/bin/ci-build")).iter().map(|p| p.display().to_string()).collect();
        assert_eq!(found, ["/opt/bin/ci-build-frontend", "/opt/lib/ci-build/ci-build-frontend"]);
    }

    #[test]
    fn an_unknown_program_has_no_places() {
        assert_eq!(places(Path::new("")), Vec::<PathBuf>::new());
    }
}
