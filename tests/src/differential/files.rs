//! The files of a case, made from data.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;
use tar::{EntryType, Header};
use xtask::command;

/// By path; one that ends with a slash is a directory.
pub type Files = BTreeMap<String, Content>;

/// A file.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// With this text, for everybody to read.
    Text(String),
    /// Anything else.
    Special(Box<Special>),
}

/// A file that is more than a text. At most one of the fields that say what is in it is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Special {
    #[serde(default)]
    text: String,
    /// As chmod(1) takes it.
    #[serde(default)]
    mode: Option<String>,
    /// Owner and group, by number.
    #[serde(default)]
    owner: Option<(u32, u32)>,
    /// What a symbolic link leads to.
    #[serde(default)]
    link: Option<String>,
    /// The file that this is another name of.
    #[serde(default)]
    hard_link: Option<String>,
    /// A tar archive of these.
    #[serde(default)]
    tar: Option<Files>,
    /// Whether the tar archive is compressed.
    #[serde(default)]
    gzip: bool,
    /// A bare git repository with one commit of these.
    #[serde(default)]
    git: Option<Files>,
    /// A directory with as many small files.
    #[serde(default)]
    many: Option<usize>,
    /// Extended attributes, in a tar archive.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// When every file was changed last: 2020-01-01.
const CHANGED: Duration = Duration::from_secs(1_577_836_800);

/// Makes the files in `dir`; `fill` completes the texts.
///
/// # Errors
/// When one cannot be made.
pub fn make(files: &Files, dir: &Path, fill: &impl Fn(&str) -> String) -> Result<()> {
    // Names of other files come after the files themselves.
    let (links, files): (Vec<_>, Vec<_>) = files.iter().partition(|(_, content)| is_hard_link(content));
    for (name, content) in files.into_iter().chain(links) {
        one(name, content, dir, fill).with_context(|| format!("cannot make the file {name}"))?;
    }
    Ok(())
}

/// Gives everything in `dir` one time of change. Last, since making a file changes its directory.
///
/// # Errors
/// When it cannot be done.
pub fn settle(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            settle(&entry.path())?;
        } else if kind.is_file() {
            changed(&entry.path())?;
        } else if kind.is_symlink() {
            command::run(
                Command::new("touch").args(["--no-dereference", "--date=2020-01-01Z"]).arg(entry.path()),
            )?;
        }
    }
    changed(dir)
}

fn changed(path: &Path) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + CHANGED;
    let times = FileTimes::new().set_modified(time).set_accessed(time);
    File::open(path)
        .and_then(|file| file.set_times(times))
        .with_context(|| format!("cannot set the time of {}", path.display()))
}

fn is_hard_link(content: &Content) -> bool {
    matches!(content, Content::Special(special) if special.hard_link.is_some())
}

fn one(name: &str, content: &Content, dir: &Path, fill: &impl Fn(&str) -> String) -> Result<()> {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap_or(dir))?;
    let special = match content {
        Content::Text(text) if name.ends_with('/') => bail!("a directory has no text: {text}"),
        Content::Text(text) => return Ok(fs::write(path, fill(text))?),
        Content::Special(special) => special,
    };
    if let Some(to) = &special.link {
        return Ok(symlink(to, path)?);
    } else if let Some(other) = &special.hard_link {
        return Ok(fs::hard_link(dir.join(other), path)?);
    } else if let Some(files) = &special.git {
        return repository(files, &path, fill);
    } else if let Some(files) = &special.tar {
        let mut archive = archive(files, fill)?;
        if special.gzip {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&archive)?;
            archive = gzip.finish()?;
        }
        fs::write(&path, archive)?;
    } else if let Some(count) = special.many {
        fs::create_dir_all(&path)?;
        for number in 0..count {
            fs::write(path.join(format!("{number:05}")), format!("{number}\n"))?;
        }
    } else if name.ends_with('/') {
        fs::create_dir_all(&path)?;
    } else {
        fs::write(&path, fill(&special.text))?;
    }
    if let Some(mode) = special.mode()? {
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    if let Some((user, group)) = special.owner {
        std::os::unix::fs::chown(&path, Some(user), Some(group))?;
    }
    Ok(())
}

impl Special {
    fn mode(&self) -> Result<Option<u32>> {
        let parsed = self.mode.as_deref().map(|mode| u32::from_str_radix(mode, 8));
        parsed.transpose().context("a mode is an octal number")
    }
}

fn archive(files: &Files, fill: &impl Fn(&str) -> String) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let special = match content {
            Content::Text(text) => &Special { text: text.clone(), ..Special::default() },
            Content::Special(special) => &**special,
        };
        if !special.attributes.is_empty() {
            let records =
                special.attributes.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value));
            let records: Vec<_> = records.collect();
            tar.append_pax_extensions(records.iter().map(|(name, value)| (&**name, value.as_bytes())))?;
        }
        let mut header = Header::new_gnu();
        let (user, group) = special.owner.unwrap_or_default();
        header.set_uid(user.into());
        header.set_gid(group.into());
        header.set_mtime(CHANGED.as_secs());
        header.set_size(0);
        let is_dir = name.ends_with('/');
        header.set_mode(special.mode()?.unwrap_or(if is_dir { 0o755 } else { 0o644 }));
        let link = special.link.as_ref().map(|to| (EntryType::Symlink, to));
        let link = link.or(special.hard_link.as_ref().map(|to| (EntryType::Link, to)));
        if let Some((kind, to)) = link {
            header.set_entry_type(kind);
            tar.append_link(&mut header, name, to)?;
        } else {
            header.set_entry_type(if is_dir { EntryType::Directory } else { EntryType::Regular });
            let text = fill(&special.text);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes())?;
        }
    }
    Ok(tar.into_inner()?)
}

/// The same commit for the same files: its branch is `main`, its tag `v1`.
fn repository(files: &Files, path: &Path, fill: &impl Fn(&str) -> String) -> Result<()> {
    let tree: PathBuf = path.with_extension("tree");
    fs::create_dir_all(&tree)?;
    make(files, &tree, fill)?;
    let git = |dir: &Path, arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(dir).args(["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]);
        git.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_DATE"), "2020-01-01T00:00:00Z");
        }
        command::run(&mut git)
    };
    git(&tree, &["init", "--quiet", "--initial-branch=main"])?;
    git(&tree, &["add", "--all"])?;
    git(&tree, &["commit", "--quiet", "--message=one"])?;
    git(&tree, &["tag", "v1"])?;
    fs::rename(tree.join(".git"), path)?;
    git(path, &["config", "core.bare", "true"])?;
    git(path, &["config", "uploadpack.allowAnySHA1InWant", "true"])?;
    fs::remove_dir_all(tree).context("cannot remove a working tree")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_the_same_each_time() {
        let text = r#"
            "a" = "text"
            "d/" = { mode = "1777" }
            "l" = { link = "a" }
            "x" = { text = "@here@", owner = [1, 2], attributes = { "user.note" = "yes" } }
        "#;
        let files: Files = toml::from_str(text).unwrap();
        let made = archive(&files, &|text| text.replace("@here@", "filled")).unwrap();
        assert_eq!(made, archive(&files, &|text| text.replace("@here@", "filled")).unwrap());
        let mut archive = tar::Archive::new(&*made);
        let entries: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                format!("{path} {:o} {}", entry.header().mode().unwrap(), entry.size())
            })
            .collect();
        assert_eq!(entries, ["a 644 4", "d/ 1777 0", "l 644 0", "x 644 6"]);
    }
}
