//! Configuration files, as commands follow them.

use std::path::{Path, PathBuf};

use ci_build::config::{Config, Trust};
use ci_build::error::Failure;

/// The value of a flag, with these files for host and project, and these words for a command line.
fn value(host: &str, project: &str, line: &str, flag: &str) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name)
    };
    let files = [(file("host.toml", host), Trust::Host), (file("project.toml", project), Trust::Project)];
    let of_error = |error: ci_build::config::Error| {
        let place = format!("{}/", directory.path().display());
        Failure::from(error).to_string().replace(&place, "")
    };
    let config = Config::read(&files).map_err(of_error)?;
    let command = config.apply(ci_build::commands::command()).map_err(of_error)?;
    let words = std::iter::once("ci-build").chain(line.split_ascii_whitespace());
    let matches = command.try_get_matches_from(words).map_err(|error| error.to_string())?;
    let mut matches = &matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    let raw = matches.get_raw(flag).into_iter().flatten();
    Ok(raw.map(|value| value.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "))
}

#[test]
fn flags_win_over_the_project_and_that_over_the_host() {
    let host = "[lock]\nwait = '2h'\npolite = '1m'\n";
    let project = "[lock]\nwait = '3h'\n";
    let wait = |host, project, line: &str| value(host, project, line, "wait").unwrap();
    assert_eq!(wait("", "", "lock -- true"), "1h");
    assert_eq!(wait(host, "", "lock -- true"), "2h");
    assert_eq!(wait(host, project, "lock -- true"), "3h");
    assert_eq!(wait(host, project, "lock --wait 4h -- true"), "4h");
    assert_eq!(value(host, project, "lock -- true", "polite").unwrap(), "1m");
}

#[test]
fn a_flag_undoes_what_excludes_it() {
    let host = "[lock]\npolite = '1m'\n[lease.add]\nttl = '2h'\n";
    let of = |line: &str, flag: &str| value(host, "", line, flag).unwrap();
    assert_eq!(of("lock --shared -- true", "polite"), "0");
    assert_eq!(of("lock --exclusive -- true", "polite"), "1m");
    assert_eq!(of("lease add image", "ttl"), "2h");
    assert_eq!(of("lease add --owner 1 image", "ttl"), "");
}

#[test]
fn values_are_texts_numbers_booleans_and_lists() {
    let project = "[check]\nplatform = ['linux/amd64', 'linux/arm64']\nbuild-arg = 'A=1'\n";
    let of = |line: &str, flag: &str| value("", project, line, flag).unwrap();
    assert_eq!(of("check", "platform"), "linux/amd64 linux/arm64");
    assert_eq!(of("check --platform linux/s390x", "platform"), "linux/s390x");
    assert_eq!(of("check", "build_arg"), "A=1");
    let insecure = value("[frontend.push]\ninsecure = true\n", "", "frontend push a/b", "insecure");
    assert_eq!(insecure.unwrap(), "true");
    assert_eq!(value("[lock]\nwait = 0x0\n", "", "lock -- true", "wait").unwrap(), "0");
}

/// A message without the list of what exists, which grows with every command.
fn without_list(message: String) -> String {
    assert!(message.contains("[check]") && message.contains("[lock]"), "{message}");
    message.lines().next().unwrap().into()
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_exists() {
    let host = |text: &str| value(text, "", "lock -- true", "wait").unwrap_err();
    insta::assert_snapshot!(without_list(host("[lokc]\nwait = '1h'\n")), @"error: host.toml:1: there is no command 'lokc' that [lokc] could be for");
    insta::assert_snapshot!(host("# ours\n\n[lock]\nwiat = '1h'\n"), @r"
    error: host.toml:4: [lock] has no key 'wiat'
      help: [lock] has containerd, namespace, polite, store, wait
    ");
    insta::assert_snapshot!(without_list(host("wait = '1h'\n")), @"error: host.toml:1: 'wait' stands in no table");
    insta::assert_snapshot!(host("[lock]\nwait = 30\n"), @r"
    error: host.toml:2: 'wait' of [lock]: '30': write it with its unit, such as 30s, 10m, 2h or 7d
      help: `ci-build lock --help` tells what --wait takes
    ");
    insta::assert_snapshot!(host("[lock]\nwait = ['1h', '2h']\n"), @r"
    error: host.toml:2: 'wait' of [lock]: it takes a text or a number, not a list
      help: `ci-build lock --help` tells what --wait takes
    ");
    insta::assert_snapshot!(host("[lock]\nshared = true\n"), @r"
    error: host.toml:2: [lock] has no key 'shared'
      help: [lock] has containerd, namespace, polite, store, wait
    ");
    insta::assert_snapshot!(host("[frontend.push]\ninsecure = 'yes'\n"), @r"
    error: host.toml:2: 'insecure' of [frontend.push]: it takes true or false, not a text
      help: `ci-build frontend push --help` tells what --insecure takes
    ");
    insta::assert_snapshot!(host("[lock]\nwait = 2026-11-21\n"), @r"
    error: host.toml:2: 'wait' of [lock]: it takes a text or a number, not a date
      help: `ci-build lock --help` tells what --wait takes
    ");
    insta::assert_snapshot!(host("[check]\nfail-on = 'warnings'\n"), @r"
    error: host.toml:2: 'fail-on' of [check]: 'warnings' is none of error, warning, note
      help: `ci-build check --help` tells what --fail-on takes
    ");
    insta::assert_snapshot!(host("[lease]\nttl = '1h'\n"), @r"
    error: host.toml:2: [lease] has no key 'ttl'
      help: [lease] has [lease.add], [lease.list], [lease.remove]
    ");
    insta::assert_snapshot!(host("[lease.add]\nowner = 7\n"), @r"
    error: host.toml:2: [lease.add] has no key 'owner'
      help: [lease.add] has ahead, containerd, namespace, store, ttl, wait
    ");
    insta::assert_snapshot!(host("[lock]\nwait = \n"), @r"
    error: host.toml:2: string values must be quoted, expected literal string
      help: write it as TOML
    ");
    insta::assert_snapshot!(host("[lock]\nwait = '1h'\n[[mirror]]\nregistry = 'a'\nurl = 'http://b'\nprefx = 'c'\n"), @r"
    error: host.toml:6: unknown field `prefx`, expected one of `registry`, `prefix`, `url`, `insecure`, `name`, `first-byte`, `floor`, `window`
      help: docs/configuration.md tells what stands there
    ");
    insta::assert_snapshot!(host("[[mirrors]]\nregistry = 'a'\n"), @r"
    error: host.toml:1: missing field `url`
      help: docs/configuration.md tells what stands there
    ");
    insta::assert_snapshot!(host("[mirror]\njobs = 2\n[[mirror]]\nregistry = 'a'\nurl = 'http://b'\n"), @r"
    error: host.toml:3: duplicate key
      help: beside [mirror] write [[mirrors]] for [[mirror]]
    ");
    insta::assert_snapshot!(
        host("[[mirrors]]\nregistry = 'a'\nurl = 'http://b'\n[[mirror]]\nregistry = 'a'\nurl = 'http://c'\n"),
        @r"
    error: host.toml:4: [[mirror]] and [[mirrors]] are the same, and stand both in this file
      help: call all of them by one name
    "
    );
    insta::assert_snapshot!(host("[lock.wait]\n"), @r"
    error: host.toml:1: 'wait' of [lock]: it takes a text or a number, not a table
      help: `ci-build lock --help` tells what --wait takes
    ");
}

#[test]
fn a_project_says_nothing_about_the_host() {
    let project = |text: &str| value("", text, "lock -- true", "wait").unwrap_err();
    insta::assert_snapshot!(project("[lock]\nstore = 'mine'\n"), @r"
    error: project.toml:2: 'store' of [lock] is not for a project's file
      help: it belongs into /etc/ci-build.toml, or into a file that CI_BUILD_CONFIG names
    ");
    insta::assert_snapshot!(project("[lock]\nstoer = 'mine'\n"), @r"
    error: project.toml:2: [lock] has no key 'stoer'
      help: [lock] has polite, wait
    ");
    insta::assert_snapshot!(project("[rewrite]\noutput = '/etc/passwd'\n"), @r"
    error: project.toml:2: 'output' of [rewrite] is not for a project's file
      help: it belongs into /etc/ci-build.toml, or into a file that CI_BUILD_CONFIG names
    ");
    insta::assert_snapshot!(project("[frontend.install]\nbinary = './mine'\n"), @r"
    error: project.toml:2: 'binary' of [frontend.install] is not for a project's file
      help: it belongs into /etc/ci-build.toml, or into a file that CI_BUILD_CONFIG names
    ");
    insta::assert_snapshot!(project("[[mirror]]\nfrom = 'docker.io'\n"), @r"
    error: project.toml:1: [[mirror]] is not for a project's file
      help: it belongs into /etc/ci-build.toml, or into a file that CI_BUILD_CONFIG names
    ");
    insta::assert_snapshot!(project("[nope]\n"), @r"
    error: project.toml:1: there is no command 'nope' that [nope] could be for
      help: there is [build], [check], [lease.add], [lock], [plan], [pull], [rewrite]
    ");
}

#[test]
fn sections_are_read_from_the_file_that_counts_most() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Mirror {
        host: String,
    }
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str, text: &str| -> (PathBuf, Trust) {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        (path, Trust::Host)
    };
    let lower = place("lower", "[[mirror]]\nhost = 'a'\n[[mirror]]\nhost = 'b'\n");
    let upper = place("upper", "[[mirror]]\nhost = 'c'\n");
    let wrong = place("wrong", "[lock]\n[[mirror]]\nhots = 'c'\n");
    let hosts = |places: &[(PathBuf, Trust)]| {
        let mirrors = Config::read(places).unwrap().section::<Mirror>("mirror");
        mirrors.map(|mirrors| mirrors.into_iter().map(|mirror| mirror.host).collect::<Vec<_>>())
    };
    assert_eq!(hosts(&[]).unwrap(), [""; 0]);
    assert_eq!(hosts(std::slice::from_ref(&lower)).unwrap(), ["a", "b"]);
    assert_eq!(hosts(&[lower, upper]).unwrap(), ["c"]);
    let beside = place("beside", "[mirror]\njobs = 2\n[[mirrors]]\nhost = 'd'\n");
    assert_eq!(hosts(&[beside]).unwrap(), ["d"]);
    let message = hosts(&[wrong]).unwrap_err().to_string();
    assert!(message.contains("wrong:3: unknown field `hots`"), "{message}");
}

/// `ci-build lock --wait …` in a directory, with an empty line of environment but for these.
fn lock(directory: &Path, environment: &[(&str, &str)], line: &str) -> (String, i32) {
    let state = directory.join("state");
    let mut command = super::lock::ci_build(&state, line);
    command.current_dir(directory).envs(environment.iter().copied());
    let output = command.output().unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
}

#[test]
fn the_environment_wins_over_files_and_names_another() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("ci-build.toml"), "[lock]\nwait = 'soon'\n").unwrap();
    std::fs::write(directory.join("other.toml"), "[lock]\nstore = 'x'\n").unwrap();
    let (stderr, code) = lock(directory, &[], "lock --store x -- true");
    assert_eq!(code, 2);
    assert!(stderr.contains("ci-build.toml:2: 'wait' of [lock]: 'soon'"), "{stderr}");
    assert_eq!(lock(directory, &[("CI_BUILD_CONFIG", "")], "lock --store x -- true").1, 0);
    assert_eq!(lock(directory, &[("CI_BUILD_CONFIG", "other.toml")], "lock -- true").1, 0);
    let store = |store| [("CI_BUILD_CONFIG", "other.toml"), ("CI_BUILD_STORE", store)];
    lock(directory, &store("y"), "lock -- true");
    assert!(directory.join("state/stores/name.y").exists());
    let (stderr, code) = lock(directory, &[("CI_BUILD_CONFIG", "absent.toml")], "lock -- true");
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @r"
    error: cannot read the configuration 'absent.toml': No such file or directory (os error 2)
      help: CI_BUILD_CONFIG names another file; empty, it means none
    ");
}

#[test]
fn the_page_of_the_configuration_is_up_to_date() {
    for (name, text) in ci_build::pages() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == text, "`cargo xtask docs` writes docs/{name} anew");
    }
}

#[test]
fn what_a_project_may_set_exists() {
    // `build` comes with its own branch.
    let text = "[check]\nfail-on='note'\nformat='text'\nplatform=[]\nbuild-arg=[]\ntarget='a'\n\
        [lock]\nwait='1s'\npolite='1s'\n[lease.add]\nttl='1s'\n\
        [plan]\nbuild-arg=[]\nformat='text'\nplatform=[]\npolicy='off'\nscope='host'\ntarget='a'\n\
        [rewrite]\nbuild-arg=[]\nplatform=[]\npolicy='off'\nscope='host'\ntarget='a'\n";
    assert_eq!(value("", text, "lock -- true", "wait").unwrap(), "1s");
}
