//! Which process a lease ends with, asked in real trees of processes that are called as those of CI systems. Each tree is in a pid
//! namespace of its own, so that what runs the tests is not in it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use ci_build::store::job;

/// Not a test by itself: the leaf of the trees below.
#[test]
#[ignore = "run by the tests of this file"]
fn leaf() {
    if std::env::var_os("CI_BUILD_TEST_LEAF").is_some() {
        std::fs::write("owner", job::process().unwrap().pid.to_string()).unwrap();
    }
}

/// Runs command lines, each as the child of the one before, and a leaf below the last. The first word of a line is a
/// script that says its pid and starts the next one; behind `setsid` it leads a session. Gives the line of the process that was found.
fn owner(lines: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let leaf = format!("{} --exact lock::job::leaf --ignored", std::env::current_exe().unwrap().display());
    for (level, line) in lines.iter().enumerate() {
        let next = |line: &&str| match line.strip_prefix("setsid ") {
            Some(line) => format!("setsid --wait ./{line} {}", level + 1),
            None => format!("./{line} {}", level + 1),
        };
        let next = lines.get(level + 1).map_or(leaf.clone(), next);
        script(place, line, level, &next);
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--pid", "--fork", "--mount-proc", "sh", "-c"]).arg(format!("./{} 0; exit $?", lines[0]));
    command.current_dir(place).env("CI_BUILD_TEST_LEAF", "1").stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    let read = |name: &str| std::fs::read_to_string(place.join(name)).unwrap_or_default();
    let owner = read("owner");
    let found = (0..lines.len()).find(|level| read(&format!("pid-{level}")).trim() == owner);
    found.map_or_else(|| format!("pid {owner}"), |level| lines[level].into())
}

/// The last argument says which level it is: a name may stand on two of them.
fn script(place: &Path, line: &str, level: usize, next: &str) {
    let path = place.join(line.trim_start_matches("setsid ").split(' ').next().unwrap());
    let branch = format!("*' {level}') echo $$ > pid-{level}; {next}; exit $? ;;\n");
    let head = "#!/bin/sh\nset -e\ncase \" $*\" in\n";
    let known = std::fs::read_to_string(&path).unwrap_or_else(|_| format!("{head}esac\n"));
    std::fs::write(&path, known.replace("esac\n", &format!("{branch}esac\n"))).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_job_is_the_process_that_its_system_has_for_it() {
    assert_eq!(
        owner(&["Runner.Listener run", "Runner.Worker spawnclient", "step", "make"]),
        "Runner.Worker spawnclient"
    );
    assert_eq!(owner(&["gitlab-runner run", "login-shell", "make"]), "login-shell");
    let buildkite = ["buildkite-agent start", "buildkite-agent bootstrap", "hook", "make"];
    assert_eq!(owner(&buildkite), "buildkite-agent bootstrap");
    assert_eq!(owner(&["java -jar agent.jar", "durable", "script", "make"]), "durable");
}

#[test]
fn elsewhere_it_is_the_leader_of_the_session_or_the_parent() {
    assert_eq!(owner(&["cron", "nightly", "make"]), "make");
    assert_eq!(owner(&["sshd", "setsid shell", "script", "make"]), "setsid shell");
}
