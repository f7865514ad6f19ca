//! The CI job that a command belongs to: what it is called, and which process lives as long as it does.

use super::owner::Process;
use crate::process::{Owner, proc};

/// One CI system, as data: docs/locks.md has the table for people.
struct System {
    name: &'static str,
    /// What the job is called: the first of these that is set.
    job: &'static [&'static str],
    known: Known,
}

/// How the process of a job is known among the parents of a command.
enum Known {
    /// It has these words in its command line, each as the last part of a path.
    Is(&'static [&'static str]),
    /// It is the child of the process with these words, which serves many jobs.
    Below(&'static [&'static str]),
}

const SYSTEMS: [System; 4] = [
    System { name: "GitHub Actions", job: &["GITHUB_RUN_ID"], known: Known::Is(&["Runner.Worker"]) },
    System { name: "GitLab", job: &["CI_JOB_URL", "CI_JOB_ID"], known: Known::Below(&["gitlab-runner"]) },
    System {
        name: "Buildkite",
        job: &["BUILDKITE_BUILD_URL", "BUILDKITE_JOB_ID"],
        known: Known::Is(&["buildkite-agent", "bootstrap"]),
    },
    // The agent serves many jobs; what durable-task starts is one `sh` step.
    System { name: "Jenkins", job: &["BUILD_URL", "BUILD_TAG"], known: Known::Below(&["agent.jar"]) },
];

/// What the job of this process is called, such as "GitLab 4711".
pub fn name() -> Option<String> {
    name_of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn name_of(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    SYSTEMS.iter().find_map(|system| {
        let id = system.job.iter().find_map(|name| variable(name))?;
        Some(format!("{} {id}", system.name))
    })
}

/// The process that lives as long as the job: the CI system's, else the leader of our session, where it is one
/// of our parents, else our parent.
pub fn process() -> Option<Process> {
    Process::of(*parents().last()?)
}

/// Whose end is that of the job, which may have ended already: whoever is orphaned before it looks is the child of a process of another
/// session, and what it still knows of those who wanted it is the leader of its own.
pub fn owner() -> Option<Owner> {
    let us = std::process::id();
    let lost = || {
        let own = proc::stat(us)?;
        let is_led = own.session != us && own.session != 0;
        let is_orphan = proc::stat(own.parent).is_some_and(|parent| parent.session != own.session);
        (is_led && is_orphan).then_some(own.session)
    };
    lost().or_else(|| parents().last().copied()).map(Owner::of)
}

/// Whom a lease can be of that is this job's: the process that lives as long as it does, and those between it and us.
pub(super) fn processes() -> Vec<Process> {
    parents().into_iter().filter_map(Process::of).collect()
}

/// The pids above us, up to the one that lives as long as the job.
fn parents() -> Vec<u32> {
    let us = std::process::id();
    let mut parents: Vec<u32> = proc::ancestors(us).collect();
    let lines: Vec<Vec<String>> = parents.iter().map(|&pid| proc::command_line(pid)).collect();
    let leader = || {
        let session = proc::stat(us)?.session;
        parents.iter().position(|&pid| pid == session)
    };
    let chosen = owner_among(&lines).or_else(leader).unwrap_or(0);
    parents.truncate(chosen + 1);
    parents
}

/// Which of the command lines, the nearest parent's first, is a job's.
fn owner_among(lines: &[Vec<String>]) -> Option<usize> {
    let has = |line: &[String], words: &[&str]| {
        words.iter().all(|word| line.iter().any(|part| part.rsplit('/').next() == Some(word)))
    };
    (0..lines.len()).find(|&index| {
        SYSTEMS.iter().any(|system| match system.known {
            Known::Is(words) => has(&lines[index], words),
            Known::Below(words) => lines.get(index + 1).is_some_and(|parent| has(parent, words)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_is_found_among_the_parents() {
        let lines = |lines: &[&str]| -> Vec<Vec<String>> {
            lines.iter().map(|line| line.split(' ').map(String::from).collect()).collect()
        };
        let owner = |text: &[&str]| owner_among(&lines(text));
        let github =
            ["bash -e script.sh", "/srv/bin/Runner.Worker spawnclient 1", "/srv/bin/Runner.Listener run"];
        assert_eq!(owner(&github), Some(1));
        let gitlab = ["make", "bash --login", "/usr/bin/gitlab-runner run --working-directory /home"];
        assert_eq!(owner(&gitlab), Some(1));
        let buildkite = ["bash", "buildkite-agent bootstrap", "/usr/bin/buildkite-agent start"];
        assert_eq!(owner(&buildkite), Some(1));
        let jenkins = ["sh -xe script.sh", "sh -c durable", "java -jar /srv/agent.jar"];
        assert_eq!(owner(&jenkins), Some(1));
        assert_eq!(owner(&["bash", "sshd"]), None);
    }

    #[test]
    fn a_job_is_called_as_its_system_calls_it() {
        let name = |set: &[(&str, &str)]| {
            name_of(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into()))
        };
        assert_eq!(name(&[("CI_JOB_ID", "4711")]).unwrap(), "GitLab 4711");
        assert_eq!(name(&[]), None);
    }
}
