//! What was removed, why, and how much that freed: lines of JSON that are only ever added to.
//!
//! A line is written after what it tells of has happened, in one piece. So each thread of a sweep that is killed has removed one thing more
//! than is told of at the most, and never one less.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::error::Error;

/// An open trail.
#[derive(Debug)]
pub struct Trail {
    file: File,
    path: PathBuf,
    /// What all lines of this sweep have in common: fields of JSON, each behind a comma.
    common: String,
    /// The first line, until there is another one: both are written together. A full disk has room for them once something is gone.
    begin: Mutex<Vec<u8>>,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum Line<'a> {
    /// A sweep of a directory begins.
    Begin {
        /// By what it goes.
        rules: &'a str,
    },
    /// A file is gone.
    Removed {
        /// Where it was, from the directory.
        path: Shown<'a>,
        /// What that freed on the disk: nothing as long as it has another name.
        freed: u64,
        /// Why, in one word.
        cause: &'static str,
        /// When it was used last.
        used: Timestamp,
        /// Of which unit it was a part, where that is another name.
        #[serde(skip_serializing_if = "Option::is_none")]
        unit: Option<Shown<'a>>,
    },
    /// An empty directory is gone.
    Directory {
        /// Where it was, from the directory.
        path: Shown<'a>,
    },
    /// It could not be removed.
    Failed {
        /// Where it is, from the directory.
        path: Shown<'a>,
        /// Why not.
        error: String,
    },
    /// The sweep has come to its end. One without such a line was ended.
    End {
        /// How many files it removed.
        files: u64,
        /// What that freed.
        freed: u64,
        /// How many empty directories it removed.
        directories: u64,
        /// How many files it could not remove.
        failed: u64,
    },
}

/// A path for a line: as text, and where it is none, with what stands for its other bytes.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a [u8]);

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            // JSON has no bytes: a list of numbers is what no text can be taken for.
            Err(_) => serializer.collect_seq(self.0),
        }
    }
}

#[derive(Serialize)]
struct Common<'a> {
    sweep: &'a str,
    directory: &'a str,
}

impl Trail {
    /// A trail that is added to. `sweep` says which sweep adds to it, `rules` by what it goes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(
        mut file: File,
        path: &Path,
        sweep: String,
        directory: &Path,
        rules: &str,
    ) -> Result<Self, Error> {
        // Somebody may have been killed in the middle of a line.
        end_line(&mut file).map_err(|source| Error::Trail { path: path.into(), source })?;
        let common = Common { sweep: &sweep, directory: &directory.to_string_lossy() };
        let common = serde_json::to_string(&common).map_err(io::Error::from);
        let common = common.map_err(|source| Error::Trail { path: path.into(), source })?;
        let common = common.trim_start_matches('{').trim_end_matches('}');
        let mut trail =
            Self { file, path: path.into(), common: format!(",{common}"), begin: Mutex::default() };
        let mut begin = Vec::new();
        let written = trail.write(&mut begin, &Line::Begin { rules });
        written.map_err(|source| Error::Trail { path: path.into(), source })?;
        trail.begin = Mutex::new(begin);
        Ok(trail)
    }

    /// Adds a line. Several threads may: each line is written by one call, behind the last one.
    ///
    /// # Errors
    /// When it cannot be written: then nothing more is to be removed.
    pub fn add(&self, line: &Line<'_>) -> Result<(), Error> {
        // Most fit.
        let mut text = Vec::with_capacity(512);
        // Whoever has the first line keeps the others from writing before it.
        let mut begin = self.begin.lock().unwrap_or_else(PoisonError::into_inner);
        text.append(&mut begin);
        let _first = (!text.is_empty()).then_some(begin);
        let written = self.write(&mut text, line).and_then(|()| (&self.file).write_all(&text));
        written.map_err(|source| Error::Trail { path: self.path.clone(), source })
    }

    /// One object of when it happened, what all lines have in common, and the line itself.
    fn write(&self, text: &mut Vec<u8>, line: &Line<'_>) -> io::Result<()> {
        write!(text, "{{\"at\":\"{}\"", Timestamp::now())?;
        text.extend_from_slice(self.common.as_bytes());
        let fields = text.len();
        serde_json::to_writer(&mut *text, line)?;
        // Its fields go on where those ended.
        text[fields] = b',';
        text.push(b'\n');
        Ok(())
    }
}

fn end_line(file: &mut File) -> io::Result<()> {
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Trail {
        let file = File::options().read(true).append(true).create(true).open(path).unwrap();
        Trail::new(file, path, "1".into(), Path::new("/cache"), "--older-than 7d").unwrap()
    }

    #[test]
    fn a_line_is_whole_and_comes_after_what_was_torn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trail.jsonl");
        let trail = open(&path);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "nothing is to be told yet");
        trail.add(&Line::Directory { path: Shown(b"a") }).unwrap();
        File::options().append(true).open(&path).unwrap().write_all(b"{\"at\":\"20").unwrap();
        let trail = open(&path);
        trail
            .add(&Line::Removed {
                path: Shown(b"a\n\xff"),
                freed: 4096,
                cause: "old",
                used: Timestamp::UNIX_EPOCH,
                unit: None,
            })
            .unwrap();
        trail.add(&Line::Directory { path: Shown("\u{fc}".as_bytes()) }).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(serde_json::from_str::<serde_json::Value>).collect();
        let whats = lines.iter().map(|line| line.as_ref().map_or("", |line| line["what"].as_str().unwrap()));
        assert_eq!(whats.collect::<Vec<_>>(), ["begin", "directory", "", "begin", "removed", "directory"]);
        assert_eq!(lines[0].as_ref().unwrap()["rules"], "--older-than 7d");
        let removed = lines[4].as_ref().unwrap();
        assert_eq!(removed["path"], serde_json::json!([97, 10, 255]));
        assert_eq!((&removed["freed"], &removed["directory"]), (&4096.into(), &"/cache".into()));
        assert_eq!(lines[5].as_ref().unwrap()["path"], "\u{fc}");
    }
}
