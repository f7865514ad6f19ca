//! docs/configuration.md, made of the commands themselves.

use clap::{Arg, Command};

use super::apply::{Takes, settable};
use super::project;

const HEAD: &str = "\
# Configuration

A flag of `ci-build` wins over the environment, the environment over the project's `ci-build.toml`, and that over
`/etc/ci-build.toml`. A table is a command, a key the long name of one of its flags:

    [lock]
    wait = \"2h\"

    [lease.add]
    ttl = \"4h\"

    [check]
    fail-on = \"error\"
    platform = [\"linux/amd64\", \"linux/arm64\"]

A text or a number is written as it would stand on the command line, a flag without a value takes `true` or `false`. `true` cannot be
taken back on the command line, but by a flag that excludes it. A flag on the command line also undoes what a file says about flags that
cannot stand beside it. Tables, keys and values that do not exist end the command with exit code 2, the line, and what exists.
`ci-build COMMAND --help` shows the defaults that are in force.

In the environment a flag without a value is switched on by `1`, `true`, `t`, `yes`, `y` or `on`, and not by `0`, `false`, `f`, `no`, `n`, `off` or nothing;
all else is wrong usage.

## Which files

- `/etc/ci-build.toml`, if it is there.
- The project's: the nearest `ci-build.toml` from the working directory up to the root of the checkout, where `.git` is. Outside of a
  checkout only the working directory itself is looked at, since above it may be anybody's, such as `/tmp`. It must be a plain
  file; a symbolic link is refused, for it could lead to what only its reader may see.
- Instead of the project's: the file that `CI_BUILD_CONFIG` names. With an empty `CI_BUILD_CONFIG` there is none.

Whoever wrote a repository wrote the project's file too, and root may be who runs a command there. So it may set what is about its own
builds and how long they wait, which the tables below mark, and nothing about the host: not what is deleted, not which lock keeps others
away, not where something is written, not where images come from. The host's file and one that `CI_BUILD_CONFIG` names may set
all. Where state lies is for the environment alone (`CI_BUILD_STATE_DIR`), so that all who use an engine find the same.

## [[mirror]]

Mirrors are no flags of one command: each has a table of its own, in the host's file or in one that `CI_BUILD_CONFIG` names, and the tables of the
most important file that has some count. `[[mirrors]]` is the same, for a file with a table `[mirror]`, the defaults of `ci-build mirror`: TOML lets one
name be only one of the two. What they are for: [pull.md](pull.md).

| key | takes | default | |
|---|---|---|---|
| `registry` | a registry's name | | Whose images it has; every mirror says so |
| `url` | an address | | Where it is, such as `http://10.0.0.5:5000`; every mirror says so |
| `prefix` | a text | all | Only repositories with these first components |
| `name` | a text | its host | What it is called in messages |
| `insecure` | `true`, `false` | `false` | Its certificate may be any, and without a scheme in `url` it may have none |
| `first-byte` | TIME | as `ci-build pull` has it | How long it may take to begin its answer |
| `floor` | SIZE | as `ci-build pull` has it | The least that it has to send in a second |
| `window` | TIME | as `ci-build pull` has it | Over which time the floor is asked for |

This page is written by `cargo xtask docs`.
";

/// The page: what can be set for each command.
pub fn page(command: &Command) -> String {
    let mut page = HEAD.to_owned();
    sections(&mut page, "", command);
    page
}

fn sections(page: &mut String, path: &str, command: &Command) {
    let flags: Vec<&Arg> = settable(path, command).collect();
    if !path.is_empty() && !flags.is_empty() {
        page.push_str(&format!("\n## [{}]\n\n", path.replace(' ', ".")));
        if let Some(about) = command.get_about() {
            page.push_str(&format!("{}.\n\n", one_line(&about.to_string())));
        }
        page.push_str("| key | takes | default | environment | project | |\n|---|---|---|---|---|---|\n");
        flags.iter().for_each(|flag| page.push_str(&row(path, flag)));
    }
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name());
        sections(page, path.trim_start(), sub);
    }
}

fn row(path: &str, flag: &Arg) -> String {
    let key = flag.get_long().unwrap_or_default();
    let default: Vec<_> = flag.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let cells = [
        format!("`{key}`"),
        takes(flag),
        if default.is_empty() { String::new() } else { format!("`{}`", default.join(",")) },
        flag.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default(),
        if project::allowed(path).contains(&key) { "yes".into() } else { String::new() },
        flag.get_help().map(|help| one_line(&help.to_string())).unwrap_or_default(),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn takes(flag: &Arg) -> String {
    let known: Vec<_> = flag
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let name = flag.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
    let one = match (known.is_empty(), name) {
        (false, _) => known.join(", "),
        (true, Some(name)) => name,
        (true, None) => "a text".into(),
    };
    match Takes::of(flag) {
        Takes::YesOrNo => "`true`, `false`".into(),
        Takes::List => format!("a list: {one}"),
        Takes::One => one,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
