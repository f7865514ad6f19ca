//! What one build leaves for the next: a small document a subject, private, and not for ever.

use std::time::SystemTime;

use super::Store;
use super::directory::{self, Directory};
use super::error::Error;
use crate::image::Digest;

/// So many subjects are remembered; of more, those that nobody wrote for longest are forgotten.
const MOST: usize = 256;

/// Documents by their subjects.
#[derive(Debug)]
pub struct Memory {
    directory: Directory,
    most: usize,
}

impl Store {
    /// What is remembered of steps.
    ///
    /// # Errors
    /// When its directory cannot be had.
    pub fn durations(&self) -> Result<Memory, Error> {
        Ok(Memory { directory: self.directory.directory("durations")?, most: MOST })
    }
}

impl Memory {
    /// What is remembered of a subject.
    pub fn read(&self, subject: &str) -> Option<String> {
        directory::read_record(&self.directory.open_record(&name(subject)).ok()?)
            .filter(|text| !text.is_empty())
    }

    /// Remembers a document in the place of what was remembered.
    ///
    /// # Errors
    /// When it cannot be written; then the old one stays.
    pub fn write(&self, subject: &str, document: &str) -> Result<(), Error> {
        self.directory.replace(&name(subject), document.as_bytes())?;
        self.forget()
    }

    fn forget(&self) -> Result<(), Error> {
        let names = self.directory.names()?;
        let Some(over) = names.len().checked_sub(self.most).filter(|over| *over > 0) else { return Ok(()) };
        let written = |name: &String| {
            let file = self.directory.open_record(name).ok().and_then(|file| file.metadata().ok());
            file.and_then(|found| found.modified().ok()).unwrap_or(SystemTime::UNIX_EPOCH)
        };
        let mut names: Vec<_> = names.into_iter().map(|name| (written(&name), name)).collect();
        names.sort();
        names.into_iter().take(over).try_for_each(|(_, name)| self.directory.remove(&name))
    }
}

/// Whatever the subject, a name.
fn name(subject: &str) -> String {
    Digest::of(subject.as_bytes()).hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Identity;
    use super::*;

    #[test]
    fn what_is_written_is_read_until_there_is_too_much() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::open_in(&state.path().join("state"), Identity::Named("x".into())).unwrap();
        let memory = Memory { most: 2, ..store.durations().unwrap() };
        assert_eq!(memory.read("a"), None);
        memory.write("a", "1").unwrap();
        memory.write("a", "2").unwrap();
        assert_eq!(memory.read("a").unwrap(), "2");
        let old = std::fs::File::open(memory.directory.path().join(name("a"))).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        memory.write("b", "3").unwrap();
        memory.write("c", "4").unwrap();
        assert_eq!(["a", "b", "c"].map(|subject| memory.read(subject).is_some()), [false, true, true]);
    }
}
