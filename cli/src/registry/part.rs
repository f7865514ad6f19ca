//! A blob on its way: a file that grows, and the digest of what it has so far.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use crate::image::Digest;

/// A file with the beginning of a blob, or all of it.
#[derive(Debug)]
pub struct Part {
    file: File,
    len: u64,
    hash: Sha256,
    /// Which source all of it is from, if it is one alone.
    from: From,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Nobody,
    One(usize),
    Several,
}

impl Part {
    /// A file that is open to be read and written, with what an earlier run left in it. It is to be this process's alone.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(mut file: File) -> io::Result<Self> {
        let (mut hash, mut len, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => {
                    hash.update(&buffer[..read]);
                    len += read as u64;
                }
            }
        }
        let from = if len == 0 { From::Nobody } else { From::Several };
        Ok(Self { file, len, hash, from })
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds bytes that came from this source.
    pub(super) fn add(&mut self, bytes: &[u8], source: usize) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::Disk(error.to_string()))?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        self.from = match self.from {
            From::Nobody => From::One(source),
            From::One(other) if other == source => self.from,
            From::One(_) | From::Several => From::Several,
        };
        Ok(())
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        cleared.map_err(|error| Failure::Disk(error.to_string()))?;
        (self.len, self.hash, self.from) = (0, Sha256::new(), From::Nobody);
        Ok(())
    }

    /// Whether this is the blob. If not, it is empty afterwards, and the failure is the source's if all was from it.
    pub(super) fn check(&mut self, expected: &Digest) -> Result<(), Failure> {
        let got: Digest = self.hash.clone().into();
        if got == *expected {
            return Ok(());
        }
        let is_one = matches!(self.from, From::One(_));
        self.clear()?;
        Err(if is_one {
            Failure::WrongDigest { expected: expected.clone(), got }
        } else {
            Failure::WrongParts
        })
    }

    /// The bytes from here on, as many as fit; none at the end.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn read_at(&self, buffer: &mut [u8], from: u64) -> io::Result<usize> {
        self.file.read_at(buffer, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(path: &std::path::Path) -> Part {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        Part::of(file).unwrap()
    }

    #[test]
    fn what_an_earlier_run_left_is_gone_on_with_and_checked() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("part");
        let digest = Digest::of(b"whole");
        opened(&path).add(b"wh", 0).unwrap();
        let mut part = opened(&path);
        assert_eq!(part.len(), 2);
        part.add(b"ole", 1).unwrap();
        part.check(&digest).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn what_is_wrong_is_thrown_away_and_blamed_on_a_source_only_if_it_sent_all() {
        let place = tempfile::tempdir().unwrap();
        let mut part = opened(&place.path().join("part"));
        let digest = Digest::of(b"whole");
        part.add(b"hol", 0).unwrap();
        part.add(b"low", 1).unwrap();
        assert_eq!(part.check(&digest), Err(Failure::WrongParts));
        assert!(part.is_empty());
        part.add(b"hollow", 1).unwrap();
        assert!(matches!(part.check(&digest), Err(Failure::WrongDigest { .. })));
        part.add(b"whole", 1).unwrap();
        part.check(&digest).unwrap();
    }
}
