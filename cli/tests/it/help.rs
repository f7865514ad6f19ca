//! What `--help` says: examples that work, and flags that are called the same wherever they mean the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use clap::Arg;

/// All commands that people see, by their paths, such as `lease add`.
fn commands() -> Vec<(String, clap::Command)> {
    fn below(path: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        found.push((path.to_owned(), command.clone()));
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            below(format!("{path} {}", sub.get_name()).trim_start(), sub, found);
        }
    }
    let mut found = Vec::new();
    below("", &ci_build::commands::command(), &mut found);
    found
}

/// The lines below `Examples:`.
fn examples(command: &clap::Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = text.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines.take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

/// What calls of `ci-build` a shell makes of a script, the words of each, and what the shell itself complains of. There are no other
/// programs but some that do nothing, so a script is read as a shell reads it, and nothing comes of it.
pub(crate) fn calls(script: &str) -> (Vec<Vec<OsString>>, String) {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let bin = directory.join("bin");
    fs::create_dir(&bin).unwrap();
    let program = |name: &str, script: &str| {
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    // A word each line, then an empty line: nobody shows words with line breaks.
    program("ci-build", "{ printf '%s\\n' ci-build \"$@\"; echo; } >> \"$CALLS\"; echo answer");
    program("git", "echo Dockerfile");
    program("xargs", "\"$@\" Dockerfile");
    for name in ["docker", "dot", "jq", "skopeo", "ssh", "systemctl"] {
        program(name, ":");
    }
    fs::write(directory.join("Dockerfile"), "FROM scratch\n").unwrap();
    let calls = directory.join("calls");
    let shell = Command::new("/bin/sh")
        .args(["-c", script])
        .current_dir(directory)
        .env_clear()
        .envs([("PATH", bin.as_os_str()), ("IMAGE", "image".as_ref()), ("CALLS", calls.as_os_str())])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = fs::read_to_string(calls).unwrap_or_default();
    let words = |call: &str| call.split('\n').map(OsString::from).collect();
    let complaints = String::from_utf8_lossy(&shell.stderr).into_owned();
    (text.split_terminator("\n\n").map(words).collect(), complaints)
}

/// The path of the command that these words call, if they are ones that it takes.
pub(crate) fn called(words: Vec<OsString>) -> Result<String, clap::Error> {
    let mut path = Vec::new();
    let mut command = ci_build::commands::command();
    for word in words.iter().skip(1) {
        // `run --containerd` is a command in a flag's clothes.
        let word = word.to_str().map(|word| word.trim_start_matches("--"));
        let Some(sub) = word.and_then(|word| command.find_subcommand(word)) else { break };
        path.push(sub.get_name().to_owned());
        command = sub.clone();
    }
    ci_build::commands::read(ci_build::commands::command(), words).map(|_| path.join(" "))
}

#[test]
fn every_command_has_two_examples_and_each_is_one() {
    for (path, command) in commands() {
        let mut own = 0;
        for example in examples(&command) {
            let (calls, complaints) = calls(&example);
            assert_eq!(complaints, "", "{path}: {example}");
            for words in calls {
                let called = called(words).unwrap_or_else(|error| panic!("{path}: {example}: {error}"));
                own += usize::from(called.starts_with(&path));
            }
        }
        assert!(own >= 2, "`ci-build {path} --help` has {own} examples of it");
    }
}

#[test]
fn an_example_that_is_none_would_be_seen() {
    let read = |line: &str| calls(line).0.into_iter().map(called).collect::<Result<Vec<_>, _>>();
    assert_eq!(
        read("ci-build lock --shared -- 'a b' | jq x; ci-build lease list").unwrap(),
        ["lock", "lease list"]
    );
    assert!(read("ci-build lock --sharde -- true").is_err());
    assert!(read("ci-build lokc").is_err());
}

/// Flags that have one name and mean different things, and why that reads well.
const DIFFERENT: [(&str, &str); 6] = [
    ("timeout", "of build and run the command's own time, of status and doctor the engine's for an answer"),
    ("grace", "of build and run the time to end in, of prune the age that is left alone"),
    ("tag", "of mirror a pattern"),
    ("cache-mount", "of prune which go, of sweep the one to sweep within"),
    ("owner", "of lease a process, of sweep the user of files"),
    ("keep", "of prune the name of images, of sweep a pattern of paths"),
];

/// What is known of a flag but for its help.
fn traits(flag: &Arg) -> String {
    let names = flag.get_value_names().unwrap_or_default().iter().map(ToString::to_string);
    let value =
        if flag.get_action().takes_values() { names.collect::<Vec<_>>().join(" ") } else { "-".into() };
    let variable = flag.get_env().map_or("-".into(), |name| name.to_string_lossy().into_owned());
    let short = flag.get_short().map_or(String::new(), |short| format!(" -{short}"));
    format!("{value} {variable}{short}")
}

/// All flags: name, then traits, then the commands that have them so.
fn flags() -> BTreeMap<String, BTreeMap<String, Vec<(String, String)>>> {
    let mut flags: BTreeMap<String, BTreeMap<String, Vec<(String, String)>>> = BTreeMap::new();
    for (path, command) in commands() {
        for flag in command.get_arguments().filter(|flag| !flag.is_hide_set()) {
            let Some(name) = flag.get_long().filter(|name| !matches!(*name, "help" | "version")) else {
                continue;
            };
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            // Below `frontend` nobody repeats that word.
            let inside = path.split(' ').next() == Some("frontend") && matches!(name, "name" | "binary");
            let name = if inside { format!("frontend-{name}") } else { name.to_owned() };
            flags.entry(name).or_default().entry(traits(flag)).or_default().push((path.clone(), help));
        }
    }
    flags
}

#[test]
fn a_flag_is_the_same_in_every_command_that_has_it() {
    for (name, kinds) in flags() {
        let is_different = DIFFERENT.iter().any(|(known, _)| *known == name);
        // The variable of a command's own says whose it is.
        let general = |(traits, users): (&String, &Vec<(String, String)>)| {
            let command = users[0].0.to_uppercase();
            traits.replace(&format!("CI_BUILD_{command}_"), "CI_BUILD_")
        };
        let general: BTreeSet<_> = kinds.iter().map(general).collect();
        assert!(general.len() == 1 || is_different, "--{name} is several things: {kinds:#?}");
        for (path, help) in kinds.values().flatten() {
            assert!(help.starts_with(char::is_uppercase), "--{name} of {path}: {help}");
            assert!(!help.ends_with('.'), "--{name} of {path}: {help}");
        }
    }
}

#[test]
fn a_variable_is_called_as_its_flag_and_sets_no_other() {
    let mut flags_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, kinds) in flags() {
        for (traits, users) in kinds {
            let Some(variable) = traits.split(' ').find(|word| word.contains("_")) else { continue };
            flags_of.entry(variable.to_owned()).or_default().push(name.clone());
            let upper = |text: &str| text.to_uppercase().replace(['-', ' '], "_");
            let is_ours = |(path, _): &(String, String)| {
                let command = path.split(' ').next().unwrap_or(path);
                variable == format!("CI_BUILD_{}", upper(&name))
                    || variable == format!("CI_BUILD_{}_{}", upper(command), upper(&name))
            };
            // ctr's, and one of ours.
            let is_known = matches!(
                variable,
                "CONTAINERD_ADDRESS"
                    | "CONTAINERD_NAMESPACE"
                    | "CONTAINERD_SNAPSHOTTER"
                    | "CI_BUILD_ENGINE_TIMEOUT"
            );
            assert!(is_known || users.iter().all(is_ours), "--{name} has the variable {variable}: {users:?}");
        }
    }
    for (variable, flags) in flags_of {
        assert_eq!(flags.len(), 1, "{variable} sets several flags: {flags:?}");
    }
}

/// What a variable with this value does to a switch, or that it is refused.
fn switched(flag: &Arg, value: &str) -> Option<bool> {
    let alone = Arg::new("value").long("value").value_parser(flag.get_value_parser().clone());
    let matches = clap::Command::new("x")
        .no_binary_name(true)
        .arg(alone)
        .try_get_matches_from([format!("--value={value}")]);
    matches.ok()?.get_one::<bool>("value").copied()
}

#[test]
fn switches_in_the_environment_are_all_the_same() {
    let mut names = Vec::new();
    for (path, command) in commands() {
        let is_switch = |flag: &&Arg| !flag.get_action().takes_values() && flag.get_env().is_some();
        for flag in command.get_arguments().filter(is_switch) {
            names.push(format!("{path} --{}", flag.get_id()));
            for (value, meaning) in [
                ("1", Some(true)),
                ("yes", Some(true)),
                ("true", Some(true)),
                ("0", Some(false)),
                ("no", Some(false)),
                ("", Some(false)),
                ("maybe", None),
            ] {
                assert_eq!(switched(flag, value), meaning, "{value:?} for --{} of {path}", flag.get_id());
            }
        }
    }
    assert!(names.len() > 10, "{names:?}");
}

/// Where the flags are listed, for whoever names a new one.
#[test]
fn flags_are_listed() {
    let mut text = String::new();
    for (name, kinds) in flags() {
        for (traits, users) in kinds {
            text.push_str(&format!("--{name} {traits}\n"));
            let mut by_help: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
            users.iter().for_each(|(path, help)| by_help.entry(help).or_default().push(path));
            for (help, paths) in by_help {
                text.push_str(&format!("    {}: {help}\n", paths.join(", ")));
            }
        }
    }
    insta::assert_snapshot!("flags", text);
}
