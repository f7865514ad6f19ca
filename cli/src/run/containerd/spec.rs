//! What a container is, as an OCI runtime specification (1.0, which both runc 1.1 and 1.3 read). Pure.
//!
//! Written out as JSON, not by a library's types: what `ctr run` asks of runc, with docker's answers where the two differ and a
//! CI job would notice (no tmpfs over `/run`, no low limit of open files, `HOME` and further groups of the user).

use serde_json::{Value, json};

use super::user::User;

/// What is asked of a container beside its image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `NAME=VALUE`, the last of a name counts.
    pub env: Vec<String>,
    /// Where it runs, if not where the image says.
    pub workdir: Option<String>,
    /// As whom it runs, if not as the image says: `USER[:GROUP]`.
    pub user: Option<String>,
    /// What of the host it sees.
    pub volumes: Vec<Volume>,
    /// Directories of its own in memory.
    pub tmpfs: Vec<String>,
    /// What its host is called, if not as the container.
    pub hostname: Option<String>,
    /// Whether it has the host's network; else it has none.
    pub host_network: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it cannot write to its root.
    pub read_only: bool,
    /// What runs, if not what the image says.
    pub entrypoint: Option<String>,
}

/// A file or directory of the host's in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it is.
    pub source: String,
    /// Where it is seen.
    pub target: String,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// What of this host a specification depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// Whether control groups are of version 2 alone.
    pub(super) has_unified_cgroups: bool,
    /// Those of `/etc/hosts` and `/etc/resolv.conf` that it has.
    pub(super) network_files: Vec<&'static str>,
}

impl Host {
    pub(super) fn this() -> Self {
        let is_there = |path: &&str| std::path::Path::new(path).is_file();
        Self {
            has_unified_cgroups: is_there(&"/sys/fs/cgroup/cgroup.controllers"),
            network_files: ["/etc/hosts", "/etc/resolv.conf"].into_iter().filter(is_there).collect(),
        }
    }
}

/// What runs in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) words: Vec<String>,
    /// The image's environment.
    pub(super) env: Vec<String>,
    /// Where the image lets it run.
    pub(super) workdir: Option<String>,
    pub(super) user: User,
    /// What its host is called where nobody says so.
    pub(super) name: String,
    pub(super) cgroup: String,
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most letters of a host's name (sethostname(2)).
const HOSTNAME: usize = 64;

/// What root may do in a container of docker's and of containerd's.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// What tells too much of the host.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/firmware",
];

/// What would change the host.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The specification of a container that runs this with these options on this host.
pub(super) fn spec(options: &Options, process: &Process, host: &Host) -> Value {
    let User { uid, gid, groups, .. } = &process.user;
    // A container's name may be longer, and has nothing but letters, digits, '.', '_' and '-'.
    let ours = process.name.get(..HOSTNAME).unwrap_or(&process.name);
    let hostname = options.hostname.as_deref().unwrap_or(ours);
    let cwd = options.workdir.as_ref().or(process.workdir.as_ref()).filter(|cwd| !cwd.is_empty());
    let mut namespaces = vec!["pid", "ipc", "uts", "mount"];
    namespaces.extend((!options.host_network).then_some("network"));
    namespaces.extend(host.has_unified_cgroups.then_some("cgroup"));
    let namespaces: Vec<Value> = namespaces.into_iter().map(|kind| json!({ "type": kind })).collect();
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs", "readonly": options.read_only },
        "hostname": hostname,
        "process": {
            "terminal": options.tty,
            "args": process.words,
            "env": env(options, process, hostname),
            "cwd": cwd.map_or("/", String::as_str),
            "user": { "uid": uid, "gid": gid, "additionalGids": groups },
            "capabilities": {
                "bounding": CAPABILITIES, "permitted": CAPABILITIES, "effective": CAPABILITIES,
            },
            "noNewPrivileges": true,
        },
        "mounts": mounts(options, host),
        "linux": {
            "cgroupsPath": process.cgroup,
            "namespaces": namespaces,
            // runc adds those that every program needs.
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        },
    })
}

fn env(options: &Options, process: &Process, hostname: &str) -> Vec<String> {
    let home = process.user.home.as_deref().unwrap_or("/");
    let mut ours = vec![PATH.to_owned(), format!("HOSTNAME={hostname}"), format!("HOME={home}")];
    ours.extend(options.tty.then(|| "TERM=xterm".to_owned()));
    let mut env: Vec<String> = Vec::new();
    for variable in ours.iter().chain(&process.env).chain(&options.env) {
        let name = |variable: &str| variable.split('=').next().map(str::to_owned);
        match env.iter_mut().find(|there| name(there) == name(variable)) {
            Some(there) => there.clone_from(variable),
            None => env.push(variable.clone()),
        }
    }
    env
}

fn mounts(options: &Options, host: &Host) -> Vec<Value> {
    let mount = |target: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": source, "options": options });
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ];
    if options.host_network {
        let files = host.network_files.iter();
        mounts.extend(files.map(|file| mount(file, "bind", file, &["rbind", "ro"])));
    }
    let tmpfs = ["nosuid", "nodev", "mode=1777"];
    mounts.extend(options.tmpfs.iter().map(|target| mount(target, "tmpfs", "tmpfs", &tmpfs)));
    mounts.extend(options.volumes.iter().map(|volume| {
        let access = if volume.read_only { "ro" } else { "rw" };
        mount(&volume.target, "bind", &volume.source, &["rbind", "rprivate", access])
    }));
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> Process {
        Process {
            words: vec!["make".into(), "test".into()],
            env: vec!["PATH=/bin".into(), "A=1".into()],
            workdir: Some("/src".into()),
            user: User { uid: 7, gid: 8, groups: vec![9], home: Some("/home/ada".into()) },
            name: "ci-build-0".into(),
            cgroup: "/ci-build/0".into(),
        }
    }

    #[test]
    fn a_container_is_written_out() {
        let spec = spec(&Options::default(), &process(), &Host::default());
        let told = ["args", "cwd", "env", "user", "noNewPrivileges"]
            .map(|key| format!("{key} {}", spec["process"][key]))
            .join("\n");
        insta::assert_snapshot!(told, @r#"
        args ["make","test"]
        cwd "/src"
        env ["PATH=/bin","HOSTNAME=ci-build-0","HOME=/home/ada","A=1"]
        user {"additionalGids":[9],"gid":8,"uid":7}
        noNewPrivileges true
        "#);
        insta::assert_snapshot!(spec["linux"]["namespaces"], @r#"[{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"network"}]"#);
        assert_eq!([&spec["hostname"], &spec["linux"]["cgroupsPath"]], ["ci-build-0", "/ci-build/0"]);
    }

    #[test]
    fn a_host_is_not_called_by_more_than_the_kernel_takes() {
        let process = Process { name: "a".repeat(76), ..process() };
        let spec = spec(&Options::default(), &process, &Host::default());
        assert_eq!(spec["hostname"], "a".repeat(64));
    }

    #[test]
    fn options_are_followed() {
        let options = Options {
            env: vec!["A=2".into(), "B=3".into()],
            workdir: Some("/w".into()),
            volumes: vec![Volume { source: "/host".into(), target: "/in".into(), read_only: true }],
            tmpfs: vec!["/cache".into()],
            hostname: Some("ci".into()),
            host_network: true,
            tty: true,
            read_only: true,
            ..Options::default()
        };
        let host = Host { has_unified_cgroups: true, network_files: vec!["/etc/hosts"] };
        let spec = spec(&options, &process(), &host);
        insta::assert_snapshot!(spec["process"]["env"], @r#"["PATH=/bin","HOSTNAME=ci","HOME=/home/ada","TERM=xterm","A=2","B=3"]"#);
        insta::assert_snapshot!(spec["linux"]["namespaces"], @r#"[{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"cgroup"}]"#);
        let mounts: Vec<String> =
            spec["mounts"].as_array().unwrap()[6..].iter().map(Value::to_string).collect();
        insta::assert_snapshot!(mounts.join("\n"), @r#"
        {"destination":"/etc/hosts","options":["rbind","ro"],"source":"/etc/hosts","type":"bind"}
        {"destination":"/cache","options":["nosuid","nodev","mode=1777"],"source":"tmpfs","type":"tmpfs"}
        {"destination":"/in","options":["rbind","rprivate","ro"],"source":"/host","type":"bind"}
        "#);
        assert_eq!([&spec["root"]["readonly"], &spec["process"]["terminal"]], [true, true]);
        assert_eq!([&spec["hostname"], &spec["process"]["cwd"]], ["ci", "/w"]);
    }
}
