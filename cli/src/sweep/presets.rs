//! The caches of known tools, which are data: `presets.toml`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Deserialize;

use super::layout::Layout;
use super::remove::Empty;
use super::trusted;

/// The caches of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What it is called by.
    pub name: String,
    /// What is in it.
    pub what: String,
    /// What goes whole or stays whole.
    pub unit: String,
    /// Who says so.
    pub source: String,
    /// Where it is.
    #[serde(rename = "place")]
    pub places: Vec<CacheDirectory>,
}

/// One directory of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CacheDirectory {
    /// Where it may be: the first whose variable is set.
    pub paths: Vec<String>,
    /// What goes together there.
    pub layout: Layout,
    /// What stays, and counts for nothing.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Lock files of the tool, from there.
    #[serde(default)]
    pub locks: Vec<PathBuf>,
    /// Which empty directories go.
    #[serde(default)]
    pub empty: Empty,
    /// Whether it usually is a file system of its own.
    #[serde(default)]
    pub whole_file_system: bool,
    /// Whether it usually is a home directory.
    #[serde(default)]
    pub home: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "preset")]
    presets: Vec<Preset>,
}

/// All of them, in the file's order.
pub fn all() -> &'static [Preset] {
    static ALL: LazyLock<Vec<Preset>> = LazyLock::new(|| {
        // It is compiled in, and a test reads it.
        toml::from_str::<File>(include_str!("presets.toml")).map(|file| file.presets).unwrap_or_default()
    });
    &ALL
}

/// The name of a preset that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(&'static str);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = all().iter().find(|preset| preset.name == text);
        let names = || all().iter().map(|preset| preset.name.as_str()).collect::<Vec<_>>().join(", ");
        known.map(|preset| Self(&preset.name)).ok_or_else(|| format!("there is {}", names()))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Name {
    /// What it means.
    pub fn preset(self) -> Option<&'static Preset> {
        all().iter().find(|preset| preset.name == self.0)
    }
}

impl CacheDirectory {
    /// Where it is for a process with these variables; none where it may be nowhere. Links are followed to it, as the tool does, where
    /// nobody else could have made them: root is not to sweep where the owner of a cache wants it to.
    pub fn path(&self, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
        let of = |text: &String| {
            let (first, rest) = text.split_once('/').unwrap_or((text, ""));
            let base = match first.strip_prefix('$') {
                Some(name) => PathBuf::from(variable(name)?),
                None if first == "~" => PathBuf::from(variable("HOME")?),
                None => PathBuf::from("/").join(first),
            };
            base.is_absolute().then(|| if rest.is_empty() { base } else { base.join(rest) })
        };
        let path = self.paths.iter().find_map(of)?;
        Some(trusted::resolve(&path).unwrap_or(path))
    }
}

/// The variables that say where these caches are.
pub fn variables<'a>(presets: impl Iterator<Item = &'a Preset>) -> BTreeSet<String> {
    let paths = presets.flat_map(|preset| &preset.places).flat_map(|place| &place.paths);
    let named = paths.filter_map(|path| match path.split('/').next()? {
        "~" => Some("HOME"),
        first => first.strip_prefix('$'),
    });
    named.map(String::from).collect()
}

const HEAD: &str = "\
# Presets of `ci-build sweep`

`ci-build sweep --preset NAME` sweeps the caches of a known tool. Several: `--preset torch,huggingface`. The first of the paths whose
variable is set is the place; one that is not there is passed over. A unit goes whole or stays whole, and is as old as its newest part.

This page is written by `cargo xtask docs` from cli/src/sweep/presets.toml.
";

/// docs/sweep-presets.md.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    // Writing to a string does not fail.
    for preset in all() {
        let _ = write!(page, "\n## {}\n\n{}.\n\n", preset.name, preset.what);
        let _ = writeln!(page, "- Unit: {}.", preset.unit);
        for place in &preset.places {
            let quoted = |texts: &[String]| {
                texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
            };
            let _ = write!(page, "- Place: {}.", quoted(&place.paths));
            if !place.exclude.is_empty() {
                let _ = write!(page, " Stays: {}.", quoted(&place.exclude));
            }
            if !place.locks.is_empty() {
                let locks: Vec<String> = place.locks.iter().map(|lock| lock.display().to_string()).collect();
                let _ = write!(page, " Locks: {}.", quoted(&locks));
            }
            let empty = match place.empty {
                Empty::Now => "",
                Empty::Later => " Empty directories go with the next sweep.",
                Empty::Never => " Empty directories stay.",
            };
            page.push_str(empty);
            page.push('\n');
        }
        let _ = writeln!(page, "- Source: <{}>", preset.source);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::Pattern;

    #[test]
    fn the_file_is_one_of_presets() {
        let presets = toml::from_str::<File>(include_str!("presets.toml")).unwrap().presets;
        let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
        insta::assert_snapshot!(names.join(" "), @"torch huggingface pip npm cargo go ccache jupyter tmp");
        for place in presets.iter().flat_map(|preset| &preset.places) {
            assert!(place.exclude.iter().all(|pattern| pattern.parse::<Pattern>().is_ok()));
            assert!(place.locks.iter().all(|lock| lock.is_relative()));
            let starts = |path: &String| path.starts_with(['/', '$', '~']);
            assert!(!place.paths.is_empty() && place.paths.iter().all(starts), "{place:?}");
        }
        assert!("tmp".parse::<Name>().is_ok());
        insta::assert_snapshot!("maven".parse::<Name>().unwrap_err(), @"there is torch, huggingface, pip, npm, cargo, go, ccache, jupyter, tmp");
    }

    #[test]
    fn the_first_variable_that_is_set_counts() {
        let hub = &"huggingface".parse::<Name>().unwrap().preset().unwrap().places[0];
        let path = |variables: &[(&str, &str)]| {
            let find = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
            };
            hub.path(find).map(|path| path.display().to_string())
        };
        assert_eq!(path(&[("HOME", "/nobody")]).as_deref(), Some("/nobody/.cache/huggingface/hub"));
        let set = [("HOME", "/nobody"), ("HF_HOME", "/data/hf")];
        assert_eq!(path(&set).as_deref(), Some("/data/hf/hub"));
        assert_eq!(path(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/d")]).as_deref(), Some("/c"));
        assert_eq!(path(&[("HF_HOME", "relative")]), None);
        assert_eq!(path(&[]), None);
    }
}
