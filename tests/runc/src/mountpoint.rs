//! Mountpoints inside of what is mounted, as runc 1.2.0 to 1.2.2 made them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::bundle::Mount;

/// Between the look and the making. runc itself took microseconds; two steps that start together may do so this far apart
/// on a busy machine.
const WINDOW: Duration = Duration::from_millis(200);

/// Makes the mountpoints of all mounts that lie inside of an earlier one.
///
/// # Errors
/// Somebody made one of the directories after we had looked.
pub(crate) fn make_all(mounts: &[Mount]) -> Result<(), String> {
    for (number, inner) in mounts.iter().enumerate() {
        let Some((source, rest)) = outer(&mounts[..number], &inner.destination) else { continue };
        let is_file = inner.bound.as_deref().is_some_and(Path::is_file);
        let dirs = if is_file { rest.parent().unwrap_or(Path::new("")) } else { rest };
        make(source, dirs).map_err(|(dir, error)| {
            let destination = inner.destination.display();
            let what = if error.kind() == io::ErrorKind::AlreadyExists {
                "file exists".to_owned()
            } else {
                error.to_string()
            };
            format!(
                "error mounting to rootfs at \"{destination}\": create mountpoint for {destination} mount: mkdirat {}: {what}",
                dir.display()
            )
        })?;
    }
    Ok(())
}

/// The bound directory that `destination` lies in, and where in it: the innermost one, of equals the last.
fn outer<'a>(mounts: &'a [Mount], destination: &'a Path) -> Option<(&'a Path, &'a Path)> {
    let within = mounts.iter().filter(|mount| mount.destination != Path::new("/"));
    let within = within.filter_map(|mount| Some((mount, destination.strip_prefix(&mount.destination).ok()?)));
    let (mount, rest) = within.max_by_key(|(mount, _)| mount.destination.as_os_str().len())?;
    let source = mount.bound.as_deref().filter(|_| mount.writable)?;
    (!rest.as_os_str().is_empty()).then_some((source, rest))
}

/// Looks once, waits, and makes what was missing.
fn make(source: &Path, dirs: &Path) -> Result<(), (PathBuf, io::Error)> {
    let paths = dirs.components().scan(source.to_owned(), |path, component| {
        path.push(component);
        Some(path.clone())
    });
    let missing: Vec<_> = paths.filter(|path| !path.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    thread::sleep(WINDOW);
    missing.into_iter().try_for_each(|path| fs::create_dir(&path).map_err(|error| (path, error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(destination: &str, bound: Option<&Path>) -> Mount {
        Mount { destination: destination.into(), bound: bound.map(Into::into), writable: true }
    }

    #[test]
    fn one_of_two_at_once_fails() {
        let cache = tempfile::tempdir().unwrap();
        let step = |inner: &str| {
            make_all(&[mount("/cache", Some(cache.path())), mount(&format!("/cache/inner/{inner}"), None)])
        };
        let results = thread::scope(|scope| {
            let steps = ["a", "b"].map(|inner| scope.spawn(move || step(inner)));
            steps.map(|step| step.join().unwrap())
        });
        let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].ends_with("inner: file exists"), "{}", errors[0]);
        // Where the outer directory is there, nothing races, and what is there is no error.
        assert_eq!((step("c"), step("c")), (Ok(()), Ok(())));
    }

    #[test]
    fn what_lies_in_nothing_of_the_hosts_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = tempfile::tempdir().unwrap();
        let mounts = [
            mount("/tmp", None),
            mount("/tmp/a", None),
            mount("/cache", Some(cache.path())),
            mount("/cache/dir/secret", Some(file.path())),
        ];
        make_all(&mounts).unwrap();
        assert!(cache.path().join("dir").is_dir());
        assert!(!cache.path().join("dir/secret").exists());
    }
}
