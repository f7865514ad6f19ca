//! Programs of another platform on this machine: qemu, known to the kernel through binfmt_misc.
//!
//! What is known to the kernel is known to the whole machine. So an entry of ours is made only where there is none for that
//! platform, under a name of its own, and through a mount of binfmt_misc that nobody else sees and that ends with this
//! process. See the kernel's Documentation/admin-guide/binfmt-misc.rst.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    fs::{Dir, Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

use crate::engines::{self, QEMU};

/// The entry's name.
const NAME: &str = "ci-build-aarch64";

/// The first bytes of an ELF file for 64-bit ARM, and which of their bits count: elf(5), e_ident to e_machine, EM_AARCH64
/// being 183. The bits of e_type let programs and shared objects pass.
const MAGIC: [u8; 20] = [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 183, 0];
const MASK: [u8; 20] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff,
    0xff, 0xff,
];

/// As long as it lives, this machine runs programs of linux/arm64, in containers as well.
#[derive(Debug)]
pub struct Emulation {
    /// The mount, where the entry is ours.
    own: Option<OwnedFd>,
}

impl Emulation {
    /// Has the kernel run such programs, unless it does so already.
    ///
    /// # Errors
    /// When the kernel has no binfmt_misc, or somebody else's entry does not reach into containers (flag F).
    pub fn of_arm64() -> Result<Self> {
        ensure!(!cfg!(target_arch = "aarch64"), "this machine is of that platform itself");
        let mount = mount().context("the kernel does not give its binfmt_misc")?;
        if let Some(flags) = flags_of_present(&mount).context("cannot read binfmt_misc")? {
            ensure!(
                flags.contains('F'),
                "the machine has qemu for arm64, but without flag F: not in containers"
            );
            return Ok(Self { own: None });
        }
        let qemu = engines::fetch_suite(&QEMU)?.bin().join("qemu-aarch64-static");
        let qemu =
            qemu.canonicalize().context("the package qemu-user-static holds no qemu-aarch64-static")?;
        let Some(path) = qemu.to_str().filter(|path| !path.contains([':', '\\']) && path.len() < 128) else {
            bail!("binfmt_misc does not take the path {}", qemu.display());
        };
        write(&mount, c"register", format!(":{NAME}:M::{}:{}:{path}:POCF", escaped(&MAGIC), escaped(&MASK)))
            .context("the kernel does not take qemu")?;
        Ok(Self { own: Some(mount) })
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        // Where nobody else has it mounted, the entry goes with the mount; elsewhere it has to be removed.
        if let Some(mount) = self.own.take()
            && let Err(error) = entry(NAME).and_then(|name| write(&mount, &name, "-1".to_owned()))
        {
            eprintln!("warning: cannot remove {NAME} from binfmt_misc: {error}");
        }
    }
}

/// Without a place in the tree of files: it ends with the handle.
fn mount() -> io::Result<OwnedFd> {
    let context = fsopen("binfmt_misc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

/// The flags of an enabled entry for such programs.
fn flags_of_present(mount: &OwnedFd) -> io::Result<Option<String>> {
    // The mount's own handle is only good for finding things beneath it.
    let dir = openat(mount, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for found in Dir::new(dir)? {
        let name = found?.file_name().to_owned();
        if [c".", c"..", c"register", c"status"].contains(&&*name) {
            continue;
        }
        let mut text = String::new();
        File::from(openat(mount, &*name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
            .read_to_string(&mut text)?;
        if let Some(flags) = flags(&text) {
            return Ok(Some(flags.to_owned()));
        }
    }
    Ok(None)
}

/// The flags in the description of an entry, if it is enabled and for such programs.
fn flags(entry: &str) -> Option<&str> {
    let field = |name: &str| entry.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let machine = format!("{:02x}{:02x}", MAGIC[18], MAGIC[19]);
    let is_ours = field("magic ").is_some_and(|magic| magic.get(36..40) == Some(&machine));
    (is_ours && entry.lines().next() == Some("enabled")).then(|| field("flags:").unwrap_or_default())
}

fn write(mount: &OwnedFd, file: &CStr, text: String) -> io::Result<()> {
    let file = openat(mount, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    File::from(file).write_all(text.as_bytes())
}

fn entry(name: &str) -> io::Result<CString> {
    CString::new(name).map_err(io::Error::other)
}

/// As binfmt_misc reads bytes.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_enabled_entry_of_that_machine_counts() {
        let entry = |state: &str, magic: &str| {
            format!("{state}\ninterpreter /usr/bin/qemu\nflags: POCF\noffset 0\nmagic {magic}\nmask ff\n")
        };
        let arm64 = "7f454c460201010000000000000000000200b700";
        assert_eq!(flags(&entry("enabled", arm64)), Some("POCF"));
        assert_eq!(flags(&entry("disabled", arm64)), None);
        assert_eq!(flags(&entry("enabled", "7f454c460201010000000000000000000200f300")), None);
        assert_eq!(flags("enabled\ninterpreter /usr/bin/java\nflags: \nextension .jar\n"), None);
    }
}
