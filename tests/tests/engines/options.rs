//! What users ask for: words on the syntax line, build arguments, comments, `docker build --check`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, dockerfile};
use xtask::build::{self, Build};
use xtask::engines::Kind;

/// What does not exist ends the build, with what does.
pub(crate) fn unknown_ones(subject: &Subject) -> Result<()> {
    for (argument, lines) in [
        (
            "BUILDKIT_SYNTAX={} speed=high",
            ["# syntax line: there is no option \"speed=high\"", "policy=NAME, scope=NAME, upstream=IMAGE"],
        ),
        (
            "CI_BUILD_POLICY=fast",
            [
                "CI_BUILD_POLICY: there is no policy \"fast\"",
                "help: the policies are auto, lock, order, prime, namespace, off",
            ],
        ),
        (
            "CI_BUILD_SCOPE=world",
            ["CI_BUILD_SCOPE: there is no scope \"world\"", "the scopes are build, host"],
        ),
        ("CI_BUILD_NO_CACHE=yes", ["CI_BUILD_NO_CACHE: there is no setting \"yes\"", "upstream, keep"]),
        (
            "CI_BUILD_POLICYS=off",
            ["CI_BUILD_POLICYS: ci-build has no such build argument", "CI_BUILD_POLICY"],
        ),
    ] {
        let argument = argument.replace("{}", &subject.frontend);
        let build = subject.ours("none/two-lines").argument(&format!("--build-arg={argument}"));
        let outcome = build.run()?;
        ensure!(!outcome.succeeded(), "{argument}: it was built");
        for line in lines {
            ensure!(outcome.output.contains(line), "no {line:?} in:\n{}", outcome.output);
        }
    }
    // The Dockerfile's own.
    let own = subject.ours("none/two-lines").argument("--build-arg=CI_BUILD_NUMBER=7").run()?;
    ensure!(own.succeeded(), "{}", own.output);
    Ok(())
}

/// Another frontend behind us, which is ours again for want of a second one, and one that is not there.
pub(crate) fn upstream_image(subject: &Subject) -> Result<()> {
    let through = |image: &str| {
        let syntax = format!("{} policy=off upstream={image}", subject.frontend);
        subject.upstream("SharedCacheRace/two-stages").through(&syntax).run()
    };
    let inner = through(&subject.frontend)?;
    ensure!(inner.succeeded(), "{}", inner.output);
    ensure!(
        inner.output.contains("have them lock /cache") || inner.output.contains("has them lock /cache"),
        "the inner frontend mends: {}",
        inner.output
    );
    let missing = through("localhost:1/no-such-frontend:1")?;
    ensure!(!missing.succeeded() && missing.output.contains("no-such-frontend"), "{}", missing.output);
    Ok(())
}

/// Comments above instructions of a real build.
pub(crate) fn comments(subject: &Subject) -> Result<()> {
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let text = fs::read_to_string(dockerfile("SharedCacheRace/two-stages")).context("it is in testdata")?;
    let build = |comment: &str| -> Result<_> {
        let path = directory.path().join("Dockerfile");
        let text = text.replacen("RUN", &format!("{comment}\nRUN"), 2);
        fs::write(&path, text).context("cannot write a Dockerfile")?;
        Build::of(&subject.client, &path).through(&subject.frontend).run()
    };
    let wrong = build("# ci-build: policy=fast")?;
    ensure!(!wrong.succeeded(), "it was built");
    for line in ["Dockerfile:3: there is no policy \"fast\"", "auto, lock, order, prime, namespace, off"] {
        ensure!(wrong.output.contains(line), "no {line:?} in:\n{}", wrong.output);
    }
    // They may race then, and that one of them fails is no matter here.
    let skipped = build("# check=skip=SharedCacheRace")?;
    ensure!(!skipped.output.contains("[ci-build]"), "{}", skipped.output);
    ensure!(!skipped.output.contains("ci-build has"), "{}", skipped.output);
    // What the race left in the cache would break this one.
    build::forget(&subject.client)?;
    let mended = build("# check=skip=Other")?;
    ensure!(
        mended.succeeded() && mended.output.contains("ci-build has them lock /cache"),
        "{}",
        mended.output
    );
    Ok(())
}

/// What `docker buildx build --check` printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
struct Checked {
    output: String,
    exit: Option<i32>,
}

fn check(subject: &Subject, path: &PathBuf, arguments: &[&str]) -> Result<Checked> {
    let mut command: Command = subject.client.buildx();
    command.args(["build", "--progress=quiet", "--file"]).arg(path).args(arguments);
    command.arg(path.parent().context("it is in a directory")?);
    let output = command.output().context("cannot run buildx")?;
    let text = [output.stdout, output.stderr].concat();
    Ok(Checked { output: String::from_utf8_lossy(&text).into_owned(), exit: output.status.code() })
}

/// Findings of ours beside upstream's in one list.
pub(crate) fn lint(subject: &Subject) -> Result<()> {
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let path = directory.path().join("Dockerfile");
    let race = fs::read_to_string(dockerfile("SharedCacheRace/two-stages")).context("it is in testdata")?;
    // Upstream does not like the name in upper case.
    let race =
        format!("{race}FROM scratch AS Unused\nFROM local/busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n");
    let with = |first: &str| fs::write(&path, format!("{first}{race}")).context("cannot write a Dockerfile");
    let frontend = format!("--build-arg=BUILDKIT_SYNTAX={}", subject.frontend);
    let ours = |arguments: &[&str]| check(subject, &path, &[&["--check", &*frontend], arguments].concat());
    with("")?;
    let upstream = check(subject, &path, &["--check"])?;
    if matches!(subject.engine.kind(), Kind::Docker20_10 | Kind::Docker26_1) {
        // These engines' own frontend knows no check.
        let ours = ours(&[])?;
        ensure!(upstream.exit != Some(0) && ours.exit == upstream.exit, "{upstream:?}\n{ours:?}");
        return Ok(());
    }
    ensure!(
        upstream.output.contains("StageNameCasing") && !upstream.output.contains("SharedCacheRace"),
        "{}",
        upstream.output
    );
    let both = ours(&[])?;
    for line in ["2 warnings", "StageNameCasing", "WARNING: SharedCacheRace", "Dockerfile:5", ">>> RUN"] {
        ensure!(both.output.contains(line), "no {line:?} in:\n{}", both.output);
    }
    ensure!(
        both.exit == Some(1) && upstream.exit == Some(1),
        "exit {:?}, upstream {:?}",
        both.exit,
        upstream.exit
    );
    for off in ["--build-arg=CI_BUILD_CHECK=off", "--build-arg=CI_BUILD_POLICY=off"] {
        let off = ours(&[off])?;
        ensure!(off == upstream, "{off:?}\n{upstream:?}");
    }
    // What else is in the document differs from request to request.
    let warnings = |arguments: &[&str]| -> Result<serde_json::Value> {
        let checked = check(subject, &path, &[&["--call=check,format=json"], arguments].concat())?;
        let document = serde_json::from_str::<serde_json::Value>(&checked.output);
        Ok(document.with_context(|| checked.output)?["warnings"].take())
    };
    let off = warnings(&[&frontend, "--build-arg=CI_BUILD_CHECK=off"])?;
    ensure!(off == warnings(&[])?, "{off:#}");
    let both = warnings(&[&frontend])?;
    let ours_is = |warning: &&serde_json::Value| warning["ruleName"] == "SharedCacheRace";
    let warning = both.as_array().and_then(|warnings| warnings.iter().find(ours_is));
    let location = warning.map(|warning| warning["location"]["ranges"].clone());
    ensure!(location == Some(serde_json::json!([{"start": {"line": 5}, "end": {"line": 5}}])), "{both:#}");

    // What is skipped is upstream's alone.
    with("# check=skip=SharedCacheRace\n")?;
    let skipped = ours(&[])?;
    ensure!(skipped == check(subject, &path, &["--check"])?, "{}", skipped.output);
    with("# check=skip=StageNameCasing;error=true\n")?;
    let failing = ours(&[])?;
    ensure!(failing.exit == Some(1), "exit {:?}", failing.exit);
    ensure!(failing.output.contains("lint violation found for rules: SharedCacheRace"), "{}", failing.output);
    ensure!(check(subject, &path, &["--check"])?.exit == Some(0), "the control has no finding");

    // A base image that is not there: found by the text.
    let missing = race.replace("local/busybox", "localhost:1/missing");
    fs::write(&path, missing).context("cannot write a Dockerfile")?;
    let missing = ours(&[])?;
    ensure!(missing.output.contains("WARNING: SharedCacheRace"), "{}", missing.output);
    Ok(())
}
