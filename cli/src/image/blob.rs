//! Bytes and the digest that they are known by.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

/// A digest as images write it: `sha256:` and 64 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        sha2::Sha256::new_with_prefix(bytes).into()
    }

    /// The whole digest, algorithm first.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }

    /// Where an image layout keeps the blob.
    pub fn path(&self) -> String {
        format!("blobs/sha256/{}", self.hex())
    }
}

/// Why text is no digest.
#[derive(Debug, thiserror::Error)]
#[error("a digest is 'sha256:' and 64 lowercase hexadecimal digits")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(is_digit) => Ok(Self(text.into())),
            _ => Err(DigestError),
        }
    }
}

impl From<sha2::Sha256> for Digest {
    fn from(hash: sha2::Sha256) -> Self {
        Self(format!("sha256:{}", hex::encode(hash.finalize())))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes with their digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The content.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// A blob of these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of(&bytes), bytes }
    }

    /// A blob of a JSON document, without white space.
    pub(super) fn of_json(document: &serde_json::Value) -> Self {
        Self::new(document.to_string().into_bytes())
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}, {} bytes)", self.digest, self.bytes.len())
    }
}
