//! Mounts, and how to be rid of them.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::{
    io::Errno,
    mount::{UnmountFlags, unmount},
};

const TABLE: &str = "/proc/self/mountinfo";

/// A line of proc_pid_mountinfo(5), as far as it is of interest here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: PathBuf,
    pub(super) file_system: String,
}

/// The mounts of this process's namespace, in the order in which they were made.
pub(super) fn mounts() -> Result<Vec<Mount>> {
    let table = fs::read(TABLE).with_context(|| format!("cannot read {TABLE}"))?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(parse_line).collect())
}

/// Unmounts whatever is mounted at `dir` or beneath it, the latest first.
///
/// # Errors
/// When something stays mounted.
pub(crate) fn unmount_beneath(dir: &Path) -> Result<()> {
    for mount in mounts()?.iter().rev().filter(|mount| mount.point.starts_with(dir)) {
        match unmount(&mount.point, UnmountFlags::NOFOLLOW) {
            // Somebody still has a file open there, or the mount was gone with another one.
            Err(Errno::BUSY) => unmount(&mount.point, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH),
            Err(Errno::INVAL | Errno::NOENT) => Ok(()),
            unmounted => unmounted,
        }
        .with_context(|| format!("cannot unmount {}", mount.point.display()))?;
    }
    match mounts()?.iter().find(|mount| mount.point.starts_with(dir)) {
        Some(mount) => anyhow::bail!("{} is still mounted", mount.point.display()),
        None => Ok(()),
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let mut fields = line.split(|byte| *byte == b' ');
    let point = unescape(fields.nth(4)?);
    let file_system = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mount {
        point: PathBuf::from(OsString::from_vec(point)),
        file_system: String::from_utf8_lossy(file_system).into_owned(),
    })
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) if byte == b'\\' => {
                plain.push(escaped);
                rest = &after[3..];
            }
            _ => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(line: &str) -> Option<(String, String)> {
        parse_line(line.as_bytes()).map(|mount| (mount.point.display().to_string(), mount.file_system))
    }

    #[test]
    fn reads_lines_with_any_number_of_optional_fields() {
        let expected = Some(("/mnt2".to_owned(), "ext3".to_owned()));
        assert_eq!(mount("36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw"), expected);
        assert_eq!(
            mount("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw"),
            expected
        );
    }

    #[test]
    fn unescapes_mount_points() {
        let (point, _) = mount(r"36 35 0:1 / /a\040b\134c\ rw - tmpfs x rw").unwrap();
        assert_eq!(point, r"/a b\c\");
    }

    #[test]
    fn what_is_cut_off_is_no_mount() {
        assert_eq!(mount(""), None);
        assert_eq!(mount("36 35 98:0 /mnt1 /mnt2 rw,noatime"), None);
    }
}
