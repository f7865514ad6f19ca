//! Platforms, and the arguments that a build sets by itself.

use std::fmt;
use std::str::FromStr;

/// `os/architecture[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, as Go calls it.
    pub architecture: String,
    /// `v7`; empty where there is none.
    pub variant: String,
}

/// Something that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no platform\n  help: write it as os/architecture or os/architecture/variant, as linux/arm64"
)]
pub struct PlatformError(pub String);

impl Platform {
    /// The platform of this very program: what a build is for when nobody says.
    #[must_use]
    pub fn host() -> Self {
        let platform = Self {
            os: "linux".to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            variant: String::new(),
        };
        platform.normalize()
    }

    /// With the names that containerd's `platforms.Normalize` gives.
    fn normalize(mut self) -> Self {
        let (architecture, variant) = match (&*self.architecture, &*self.variant) {
            ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            ("i386", _) => ("386", ""),
            (architecture, variant) => (architecture, variant),
        };
        (self.architecture, self.variant) = (architecture.to_owned(), variant.to_owned());
        self
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PlatformError(text.to_owned());
        let is_word = |part: &&str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        };
        let lower = text.to_lowercase();
        let parts: Vec<_> = lower.split('/').collect();
        if !parts.iter().all(is_word) {
            return Err(error());
        }
        let (os, architecture, variant) = match *parts {
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] => (os, architecture, variant),
            // One word is an operating system or an architecture.
            ["linux" | "windows" | "darwin" | "freebsd"] => {
                let host = Self::host();
                return Ok(Self { os: lower, ..host });
            }
            [architecture] => ("linux", architecture, ""),
            _ => return Err(error()),
        };
        let [os, architecture, variant] = [os, architecture, variant].map(str::to_owned);
        Ok(Self { os, architecture, variant }.normalize())
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// The arguments that a build sets (`dockerfile2llb/platform.go`, `defaultArgs`).
pub(super) fn automatic_arguments(build: &Platform, target: &Platform, stage: &str) -> Vec<(String, String)> {
    let mut arguments = Vec::new();
    for (prefix, platform) in [("BUILD", build), ("TARGET", target)] {
        arguments.push((format!("{prefix}PLATFORM"), platform.to_string()));
        arguments.push((format!("{prefix}OS"), platform.os.clone()));
        arguments.push((format!("{prefix}OSVERSION"), String::new()));
        arguments.push((format!("{prefix}ARCH"), platform.architecture.clone()));
        arguments.push((format!("{prefix}VARIANT"), platform.variant.clone()));
    }
    let stage = if stage.is_empty() { "default" } else { stage };
    arguments.push(("TARGETSTAGE".to_owned(), stage.to_owned()));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_images() {
        let name = |text: &str| text.parse::<Platform>().map(|platform| platform.to_string());
        assert_eq!(name("linux/x86_64").as_deref(), Ok("linux/amd64"));
        assert_eq!(name("linux/arm64/v8").as_deref(), Ok("linux/arm64"));
        assert_eq!(name("Linux/ARM").as_deref(), Ok("linux/arm/v7"));
        assert_eq!(name("arm64").as_deref(), Ok("linux/arm64"));
        assert!(name("").is_err());
        assert!(name("a/b/c/d").is_err());
        assert!(name("linux/").is_err());
        assert!(name("linux/a b").is_err());
    }
}
