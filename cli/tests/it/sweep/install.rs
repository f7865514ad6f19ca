//! What `ci-build sweep --install` prints: what was asked for, however it was, for any directory to be run from.

use std::process::Output;

use super::super::lock::command::ci_build;
use super::ground::Ground;

fn text(bytes: &[u8], ground: &Ground) -> String {
    String::from_utf8_lossy(bytes).replace(&ground.path().display().to_string(), "")
}

/// Installs what this line asks for, with these variables.
fn install(ground: &Ground, line: &str, variables: &[(&str, &str)]) -> Output {
    let mut install = ci_build(&ground.state(), &format!("sweep {line}"));
    install.envs(variables.iter().copied()).current_dir(ground.path()).output().unwrap()
}

/// The words behind the program in a line of cron.
fn words(output: &Output, ground: &Ground) -> String {
    let told = text(&output.stdout, ground);
    told.split_once(" sweep ").unwrap_or_else(|| panic!("{output:?}")).1.trim_end().to_owned()
}

#[test]
fn what_is_installed_is_what_is_asked_for_by_variables_too() {
    let ground = Ground::new();
    let line = |scheduler: &str| format!("--older-than 3d --trail log/trail --install {scheduler}");
    let variables = |directories| [("CI_BUILD_SWEEP_DIR", directories), ("CI_BUILD_SWEEP_MAX_SIZE", "5GB")];
    let output = install(&ground, &line("cron"), &variables("tree:/b"));
    insta::assert_snapshot!(words(&output, &ground), @"--older-than=72h --max-size=5000000000B --grace=10m --batch=1000 --by=last-use --io=idle --wait=10s --trail=/log/trail /tree /b");
    let output = install(&ground, &line("systemd"), &variables("tree"));
    let told = text(&output.stdout, &ground);
    assert!(told.contains("\nReadWritePaths=-/tree -/log\n"), "{told}");
    // What a line of cron cannot hold is no line of cron.
    let output = install(&ground, &line("cron"), &variables("/a\n* * * * * root true"));
    assert!(output.stdout.is_empty() && output.status.code() == Some(2), "{output:?}");
    insta::assert_snapshot!(text(&output.stderr, &ground), @r"
    error: a file of cron cannot hold '/a\n* * * * * root true': it has a line break or another control character
      help: give it another name, or take --install systemd, which can say it
    ");
}

#[test]
fn words_that_look_like_paths_keep_their_meaning_and_paths_are_absolute() {
    let ground = Ground::new();
    let line = "hub --keep hub --keep=-x --trail=log --owner self --wait 1500ms --install cron";
    let output = install(&ground, line, &[]);
    insta::assert_snapshot!(words(&output, &ground), @"--older-than=168h --grace=10m --keep=hub --keep=-x --batch=1000 --by=last-use --owner=self --io=idle --wait=1500ms --trail=/log /hub");
    let output = install(&ground, "hub --install cron", &[("CI_BUILD_SWEEP_TRAIL", "log")]);
    assert!(words(&output, &ground).ends_with(" --trail=/log /hub"), "{output:?}");
}

/// What the service may not write to it could not sweep, once it is there.
#[test]
fn a_cache_that_is_not_there_yet_may_be_swept_later() {
    let ground = Ground::new();
    let home = ground.tree();
    let output = install(&ground, "--preset go,pip --install systemd", &[("HOME", home.to_str().unwrap())]);
    let told = text(&output.stdout, &ground);
    let paths = told.lines().find(|line| line.starts_with("ReadWritePaths=-"));
    let all = "ReadWritePaths=-/tree/go/pkg/mod -/tree/.cache/go-build -/tree/.cache/pip";
    assert_eq!(paths, Some(all), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn what_a_file_says_is_installed_too() {
    let ground = Ground::new();
    let file = ground.path().join("settings.toml");
    std::fs::write(&file, "[sweep]\nolder-than = \"30d\"\n").unwrap();
    let output = install(&ground, "/hub --install cron", &[("CI_BUILD_CONFIG", file.to_str().unwrap())]);
    assert!(words(&output, &ground).starts_with("--older-than=720h "), "{output:?}");
}
