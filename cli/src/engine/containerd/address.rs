//! Where a containerd is, and which part of it.

use std::path::Path;
use std::str::FromStr;

use tonic::metadata::AsciiMetadataValue;

/// Where containerd listens unless it is told otherwise.
pub const DEFAULT: &str = "/run/containerd/containerd.sock";

/// What says otherwise, to ctr as well.
pub const VARIABLE: &str = "CONTAINERD_ADDRESS";

/// Where this process looks for containerd when no address is given.
#[must_use]
pub fn usual() -> String {
    std::env::var(VARIABLE).ok().filter(|address| !address.is_empty()).unwrap_or_else(|| DEFAULT.to_owned())
}

/// The absolute path of containerd's socket, with or without `unix://` before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

/// Why text is no address of containerd.
#[derive(Debug, thiserror::Error)]
#[error("the address of containerd is the absolute path of its socket, such as {DEFAULT}")]
pub struct AddressError;

impl Address {
    /// The path of the socket.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As tonic wants it.
    pub(super) fn uri(&self) -> String {
        format!("unix://{}", self.0)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let path = text.strip_prefix("unix://").unwrap_or(text);
        let is_usable = Path::new(path).is_absolute() && !path.contains(char::is_whitespace);
        if is_usable { Ok(Self(path.into())) } else { Err(AddressError) }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A namespace of containerd, such as `default` or `k8s.io`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(AsciiMetadataValue);

/// Why text is no name of a namespace.
#[derive(Debug, thiserror::Error)]
#[error("a namespace has 1 to 76 letters and digits, with single '.', '_' and '-' between them")]
pub struct NamespaceError;

impl Namespace {
    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Letters and digits, which are text.
        self.0.to_str().unwrap_or_default()
    }

    /// As it goes with each question.
    pub(super) fn value(&self) -> AsciiMetadataValue {
        self.0.clone()
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        let value = AsciiMetadataValue::try_from(text).ok().filter(|_| is_identifier(text));
        value.map(Self).ok_or(NamespaceError)
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether containerd takes this for the name of a namespace or a container (`identifiers.Validate`).
pub fn is_identifier(text: &str) -> bool {
    let is_between = |c: char| matches!(c, '.' | '_' | '-');
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    text.len() <= 76 && text.split(is_between).all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_and_a_namespace_a_name() {
        let address = |text: &str| text.parse::<Address>().map(|address| address.to_string()).ok();
        assert_eq!(address("/run/c.sock").unwrap(), "/run/c.sock");
        assert_eq!(address("unix:///run/c.sock").unwrap(), "/run/c.sock");
        assert_eq!(["", "c.sock", "tcp://h:1", "unix://c.sock"].map(address), [const { None }; 4]);
        let is_name = |text: &str| text.parse::<Namespace>().is_ok();
        assert!(["default", "k8s.io", "a-b_c", "1"].into_iter().all(is_name));
        assert!(
            !["", "-a", "a.", "a..b", "a--b", "a b", "a/b", "ä", &"a".repeat(77)].into_iter().any(is_name)
        );
    }
}
