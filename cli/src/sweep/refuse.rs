//! Which directories are not swept, whoever asks.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Statx, StatxFlags, fstatfs, statx};

use super::error::{Error, Refusal};
use super::place::{self, Key, Place};

/// What was said to be swept although it usually is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowed {
    /// A whole file system: a volume, a tmpfs.
    pub whole_file_system: bool,
    /// A home directory, where little in it is meant: a preset says so of itself.
    pub home: bool,
}

/// Directories that hold a system together, or an engine's images. What else is below them may be swept.
const SYSTEM: [&str; 49] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/usr",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/libx32",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/sbin",
    "/usr/share",
    "/usr/src",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/docker/buildkit",
    "/var/lib/docker/containers",
    "/var/lib/docker/image",
    "/var/lib/docker/overlay2",
    "/var/lib/docker/volumes",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/lib/systemd",
    "/var/log",
    "/var/mail",
    "/var/spool",
];

/// File systems that hold no files but what the kernel tells (statfs(2)).
const KERNEL: [(i64, &str); 8] = [
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x1cd1, "devpts"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
];

/// From this number on users are people (login.defs(5)).
const PEOPLE: u32 = 1000;
/// The user who is nobody.
const NOBODY: u32 = 65534;

/// Refuses what is not to be swept.
pub(super) fn judge(place: &Place, stat: &Statx, allowed: Allowed) -> Result<(), Error> {
    let path = place.path();
    let refuse = |refusal| Err(Error::Refused { path: path.into(), refusal });
    if path == Path::new("/") || Key::at(Path::new("/")) == Some(place.key()) {
        return refuse(Refusal::Root);
    }
    if is_one_of(place.key(), &SYSTEM) {
        return refuse(Refusal::System);
    }
    let number = fstatfs(place).map_err(|source| Error::open(path, source))?.f_type;
    #[allow(clippy::unnecessary_cast, reason = "its type differs with the architecture")]
    if let Some((_, name)) = KERNEL.iter().find(|(known, _)| *known == number as i64) {
        return refuse(Refusal::Kernel(name));
    }
    for home in homes() {
        if !allowed.home && Key::at(&home) == Some(place.key()) {
            return refuse(Refusal::Home);
        }
        if home.starts_with(path) && home != path {
            return refuse(Refusal::Above(home));
        }
    }
    if place::is_mount(stat) && !allowed.whole_file_system && is_whole(place) {
        return refuse(Refusal::FileSystem);
    }
    Ok(())
}

/// Whether it is one of these directories, whatever it is called here: they may be links, as /bin is, or be mounted in two places.
fn is_one_of(key: Key, directories: &[&str]) -> bool {
    directories.iter().any(|path| Key::at(Path::new(path)) == Some(key))
}

/// Whether all of a file system is mounted there, not a directory of one, such as a volume of a container or what a unit of systemd may
/// write to. What is not known is so.
fn is_whole(place: &Place) -> bool {
    let Ok(stat) = statx(place, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) else { return true };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    root_of_mount(&mounts, stat.stx_mnt_id).is_none_or(|root| root == "/")
}

/// Which directory of its file system a mount shows (proc_pid_mountinfo(5)).
fn root_of_mount(mounts: &str, id: u64) -> Option<&str> {
    let mut fields = mounts.lines().map(|line| line.split(' '));
    let mut of =
        fields.find(|fields| fields.clone().next().and_then(|first| first.parse().ok()) == Some(id))?;
    of.nth(3)
}

/// The home directories of people and of root, and that of this process, without links. Those that are not there are left out.
fn homes() -> Vec<PathBuf> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = std::env::var_os("HOME").map(PathBuf::from);
    let homes = of_people(&users).into_iter().chain(own);
    homes.filter(|home| home.is_absolute()).filter_map(|home| home.canonicalize().ok()).collect()
}

/// The homes in a `passwd` file (passwd(5)).
fn of_people(passwd: &str) -> Vec<PathBuf> {
    let home = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let user: u32 = fields.get(2)?.parse().ok()?;
        let is_person = user == 0 || (user >= PEOPLE && user != NOBODY);
        is_person.then(|| fields.get(5).map(PathBuf::from))?
    };
    // A home that is `/` says nothing of what is below it.
    passwd.lines().filter_map(home).filter(|home| home != Path::new("/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(path: &str) -> Result<Place, Error> {
        Place::open(Path::new(path), Allowed::default())
    }

    #[test]
    fn what_holds_a_system_together_is_not_swept() {
        let told = |path: &str| crate::error::Failure::from(opened(path).unwrap_err()).to_string();
        insta::assert_snapshot!(told("/"), @r"
        error: '/' is not swept: it is everything
          help: name the directories below it that are caches
        ");
        insta::assert_snapshot!(told("//"), @r"
        error: '/' is not swept: it is everything
          help: name the directories below it that are caches
        ");
        insta::assert_snapshot!(told("/etc/"), @r"
        error: '/etc' is not swept: the system is in it
          help: name the directories below it that are caches
        ");
        insta::assert_snapshot!(told("/usr/../etc"), @r"
        error: '/usr/../etc' has '..' in it, which means another directory where a link is
          help: name the directory itself
        ");
        for path in ["/usr/bin", "/usr/lib", "/var/log", "/var/lib"] {
            assert!(matches!(opened(path), Err(Error::Refused { refusal: Refusal::System, .. })), "{path}");
        }
        assert!(matches!(opened("/proc/sys"), Err(Error::Refused { refusal: Refusal::Kernel("proc"), .. })));
    }

    #[test]
    fn a_directory_is_what_it_is_by_whatever_name() {
        let base = tempfile::tempdir().unwrap();
        let path = |name: &str| base.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(path("itself")).unwrap();
        std::fs::create_dir(path("other")).unwrap();
        std::os::unix::fs::symlink(path("itself"), path("link")).unwrap();
        let (link, absent) = (path("link"), path("absent"));
        let known = [absent.as_str(), link.as_str()];
        let is_known = |name: &str| is_one_of(Key::at(Path::new(&path(name))).unwrap(), &known);
        assert!(is_known("itself"), "the list has a link to it");
        assert!(!is_known("other"));
    }

    #[test]
    fn a_home_is_not_swept_and_what_homes_are_in_is_not_either() {
        let home = std::env::var("HOME").unwrap();
        assert!(matches!(opened(&home), Err(Error::Refused { refusal: Refusal::Home, .. })));
        let allowed = Allowed { home: true, ..Allowed::default() };
        assert!(Place::open(Path::new(&home), allowed).is_ok());
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbin:x:2:2::/bin:\na:x:1000:1000:,,,:/data/a:/bin/sh\n\
                      nobody:x:65534:65534::/nonexistent:\nodd\nslash:x:1001:1001::/:\n";
        assert_eq!(of_people(passwd), [PathBuf::from("/root"), PathBuf::from("/data/a")]);
    }

    #[test]
    fn a_mount_of_a_directory_is_no_whole_file_system() {
        let mounts = "22 27 0:21 / /proc rw - proc proc rw\n36 22 8:1 /data/cache /cache rw,noatime - ext4 /dev/sda1 rw\n";
        assert_eq!(root_of_mount(mounts, 36), Some("/data/cache"));
        assert_eq!(root_of_mount(mounts, 22), Some("/"));
        assert_eq!(root_of_mount(mounts, 2), None);
    }

    #[test]
    fn a_whole_file_system_is_swept_only_when_it_is_told_to_be() {
        let Some(mount) = ["/dev/shm", "/run/lock", "/run/user/0"].into_iter().find(|path| {
            Key::at(Path::new(path)).is_some_and(|key| {
                Path::new(path).parent().and_then(Key::at).is_some_and(|parent| parent.device != key.device)
            })
        }) else {
            return;
        };
        assert!(matches!(opened(mount), Err(Error::Refused { refusal: Refusal::FileSystem, .. })));
        assert!(Place::open(Path::new(mount), Allowed { whole_file_system: true, home: false }).is_ok());
    }
}
