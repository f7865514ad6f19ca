//! Users of this host (passwd(5)).

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The number of a user.
pub(super) fn number(name: &str) -> Option<u32> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split(':').nth(1)?.parse().ok()
}

/// Whose a home directory is, by name; none where it is root's. A user without a name has a number, which cron takes for nobody.
pub(super) fn owner(home: &Path) -> Option<String> {
    let owner = std::fs::metadata(home).ok()?.uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|line| line.get(2).and_then(|number| number.parse().ok()) == Some(owner));
    (owner != 0).then(|| line.map_or_else(|| owner.to_string(), |line| line[0].to_owned()))
}
