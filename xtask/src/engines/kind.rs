//! The engines there are: one table.

use std::str::FromStr;

use anyhow::{Error, anyhow};

use super::suite::{BOOKWORM, Suite, TOOLS, TRIXIE};

/// An engine that can be fetched and started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Docker 20.10: the classic builder is the default, BuildKit 0.8 is inside.
    Docker20_10,
    /// Docker 26.1, graph drivers.
    Docker26_1,
    /// Docker 28.5, graph drivers.
    Docker28_5,
    /// Docker 28.5, images and layers in containerd.
    Docker28_5Containerd,
}

/// Where an engine keeps images and layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageStore {
    /// In dockerd's own graph driver.
    GraphDriver,
    /// In containerd (dockerd's feature `containerd-snapshotter`).
    Containerd,
}

struct Row {
    kind: Kind,
    name: &'static str,
    /// The version that the suite held when this was written. Another one is worth a warning.
    version: &'static str,
    suite: &'static Suite,
    image_store: ImageStore,
    /// Where there is one: the setting for the file that the engine's ID is made from. By default, all engines of the
    /// machine share that file, and with it their ID.
    key_file: Option<&'static str>,
}

const TABLE: [Row; 4] = [
    Row {
        kind: Kind::Docker20_10,
        name: "docker-20.10",
        version: "20.10.24",
        suite: &BOOKWORM,
        image_store: ImageStore::GraphDriver,
        key_file: Some("deprecated-key-path"),
    },
    Row {
        kind: Kind::Docker26_1,
        name: "docker-26.1",
        version: "26.1.5",
        suite: &TRIXIE,
        image_store: ImageStore::GraphDriver,
        key_file: None,
    },
    Row {
        kind: Kind::Docker28_5,
        name: "docker-28.5",
        version: "28.5.2",
        suite: &TOOLS,
        image_store: ImageStore::GraphDriver,
        key_file: None,
    },
    Row {
        kind: Kind::Docker28_5Containerd,
        name: "docker-28.5-containerd",
        version: "28.5.2",
        suite: &TOOLS,
        image_store: ImageStore::Containerd,
        key_file: None,
    },
];

impl Kind {
    /// Every engine, oldest first.
    pub const ALL: [Kind; 4] =
        [Kind::Docker20_10, Kind::Docker26_1, Kind::Docker28_5, Kind::Docker28_5Containerd];

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Where it keeps images and layers.
    pub fn image_store(self) -> ImageStore {
        self.row().image_store
    }

    pub(super) fn key_file(self) -> Option<&'static str> {
        self.row().key_file
    }

    pub(super) fn version(self) -> &'static str {
        self.row().version
    }

    pub(super) fn suite(self) -> &'static Suite {
        self.row().suite
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.kind).ok_or_else(|| {
            let names = TABLE.map(|row| row.name).join(", ");
            anyhow!("there is no engine `{name}`\n  help: the engines are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_enumeration_agree() {
        assert_eq!(TABLE.map(|row| row.kind), Kind::ALL);
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        insta::assert_snapshot!("docker-1.0".parse::<Kind>().unwrap_err(), @r"
        there is no engine `docker-1.0`
          help: the engines are docker-20.10, docker-26.1, docker-28.5, docker-28.5-containerd
        ");
    }
}
