//! What is fetched of Debian's packages: one table.

/// Packages of one Debian suite, unpacked together.
#[derive(Debug)]
pub(crate) struct Suite {
    /// The directory that they are unpacked in.
    pub(crate) name: &'static str,
    /// Debian's name for the suite.
    pub(crate) debian: &'static str,
    /// Debian's name for the architecture, where it is not the machine's.
    pub(crate) architecture: Option<&'static str>,
    /// What is downloaded; nothing is resolved, so what they depend on is named as well.
    pub(crate) packages: &'static [&'static str],
}

/// Has no buildx; `docker.io` holds the command line as well.
pub(crate) const BOOKWORM: Suite = Suite {
    name: "bookworm",
    debian: "bookworm",
    architecture: None,
    packages: &["docker.io", "containerd", "runc", "tini", "libc6", "libseccomp2"],
};

pub(crate) const TRIXIE: Suite = Suite {
    name: "trixie",
    debian: "trixie",
    architecture: None,
    packages: &["docker.io", "docker-cli", "containerd", "runc", "tini", "libc6", "libseccomp2"],
};

/// The newest one: its command line and its buildx drive all engines, its busybox is in the smallest base image.
pub(crate) const TOOLS: Suite = Suite {
    name: "forky",
    debian: "forky",
    architecture: None,
    packages: &[
        "docker.io",
        "docker-cli",
        "docker-buildx",
        "containerd",
        "runc",
        "tini-static",
        "libc6",
        "libseccomp2",
        "busybox-static",
    ],
};

/// Of the oldest suite, because newer ones want a newer libc.
pub(crate) const REGISTRY: Suite =
    Suite { name: "registry", debian: "bookworm", architecture: None, packages: &["docker-registry"] };

/// Runs programs of other platforms; static.
pub(crate) const QEMU: Suite =
    Suite { name: "qemu", debian: "bookworm", architecture: None, packages: &["qemu-user-static"] };

/// A program of another platform.
pub(crate) const ARM64: Suite =
    Suite { name: "arm64", debian: "bookworm", architecture: Some("arm64"), packages: &["busybox-static"] };

/// The plugin in Go; older suites have the program in Python.
pub(crate) const COMPOSE: Suite =
    Suite { name: "compose", debian: "trixie", architecture: None, packages: &["docker-compose"] };

/// Copies images from registry to registry, with the libraries that it needs.
pub(crate) const SKOPEO: Suite = Suite {
    name: "skopeo",
    debian: "bookworm",
    architecture: None,
    packages: &["skopeo", "libgpgme11", "libassuan0", "libgpg-error0", "libdevmapper1.02.1"],
};

/// Copies images from registry to registry; only the newest suite has it.
pub(crate) const CRANE: Suite =
    Suite { name: "crane", debian: "forky", architecture: None, packages: &["crane"] };
