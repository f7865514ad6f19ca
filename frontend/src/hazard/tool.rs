//! Which tool a cache belongs to, and whether it bears several users at once. The knowledge is in `tools.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Severity;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tools {
    tool: Vec<Tool>,
}

/// What is known of a tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub(super) name: String,
    paths: Vec<String>,
    pub(super) bears: bool,
    /// What is cached is the same for all platforms.
    #[serde(default)]
    pub(super) neutral: bool,
    /// The tool's lock file, from the matching path: where a mount of that path alone leaves it outside.
    lock: Option<String>,
    /// Where it is known from: for whoever edits the file.
    #[serde(rename = "source")]
    _source: String,
}

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let tools: Tools = toml::from_str(include_str!("tools.toml")).expect("a unit test parses this very text");
    tools.tool
});

/// The tool that a cache at this path, or with this path as its id, belongs to.
pub(super) fn of(path: &str) -> Option<&'static Tool> {
    found(path).map(|(tool, _)| tool)
}

/// The tool, and where its path begins.
fn found(path: &str) -> Option<(&'static Tool, usize)> {
    let path = format!("{}/", path.trim_end_matches('/'));
    TOOLS.iter().find_map(|tool| {
        tool.paths.iter().find_map(|known| {
            let known = format!("{known}/");
            let mut places = path.match_indices(&known).map(|(at, _)| at);
            places.find(|at| *at == 0 || path[..*at].ends_with('/')).map(|at| (tool, at))
        })
    })
}

/// The lock file of the tool that a cache at this path belongs to, if it may lie outside.
pub(super) fn lock_of(path: &str) -> Option<(&'static Tool, String)> {
    let (tool, at) = found(path)?;
    let lock = tool.lock.as_ref()?;
    Some((tool, format!("{}{lock}", &path[..at])))
}

/// How bad it is that this tool's cache has several users at once.
pub(super) fn severity(tool: Option<&Tool>) -> Severity {
    match tool.map(|tool| tool.bears) {
        Some(false) => Severity::Error,
        Some(true) => Severity::Note,
        None => Severity::Warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_parses() {
        assert!(!TOOLS.is_empty());
    }

    #[test]
    fn a_lock_lies_beside_its_cache() {
        let lock = |path| lock_of(path).map(|(_, lock)| lock);
        assert_eq!(lock("/usr/local/cargo/registry").as_deref(), Some("/usr/local/cargo/.package-cache"));
        assert_eq!(lock("/root/.cargo/git/db").as_deref(), Some("/root/.cargo/.package-cache"));
        assert_eq!(lock("/var/cache/apt"), None);
    }

    #[test]
    fn paths_match_whole_components() {
        let name = |path| of(path).map(|tool| tool.name.as_str());
        assert_eq!(name("/var/cache/apt"), Some("apt"));
        assert_eq!(name("/var/lib/apt/lists"), Some("apt"));
        assert_eq!(name("/root/.cache/pip/"), Some("pip"));
        assert_eq!(name("ns//root/.npm"), Some("npm"));
        assert_eq!(name("/var/cache/apt-cacher"), None);
        assert_eq!(name("/srv/xvar/cache/apt"), None);
        assert_eq!(name(""), None);
    }
}
