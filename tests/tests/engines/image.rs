//! The frontend's image in an engine's store, and the syntax line that names it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ci_build_tests::{Subject, dockerfile};
use xtask::build::Build;
use xtask::{artifacts, command};

pub(crate) fn installed_once(subject: &Subject) -> Result<()> {
    let mut install = ci_build(subject)?;
    let again = command::output(install.args(["frontend", "install"]))?;
    ensure!(again == format!("{}\n", subject.frontend), "installing again printed {again:?}");
    let format =
        r#"{{index .Config.Labels "moby.buildkit.frontend.network.none"}} {{json .Config.Entrypoint}}"#;
    let mut inspect = subject.client.docker();
    inspect.args(["image", "inspect", "--format", format, &subject.frontend]);
    let image = command::output(&mut inspect)?;
    ensure!(image.trim() == r#"true ["/ci-build-frontend"]"#, "{image}");
    Ok(())
}

/// An image that was saved, removed and loaded again serves the syntax line, with a policy on it.
pub(crate) fn syntax_line(subject: &Subject) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a directory")?;
    let archive = dir.path().join("frontend.tar");
    let name = "localhost/saved/frontend:test";
    let mut save = ci_build(subject)?;
    command::run(save.args(["frontend", "save", "--name", name]).arg(&archive))?;
    command::run(subject.client.docker().args(["load", "--input"]).arg(&archive))?;

    let told = |line: &str| -> Result<bool> {
        let outcome = Build::of(&subject.client, &with_first_line(dir.path(), line)?).run()?;
        ensure!(outcome.succeeded(), "{}", outcome.output);
        Ok(outcome.output.contains("ci-build has them lock"))
    };
    ensure!(told(&format!("# syntax={name}"))?, "the frontend of the syntax line was not used");
    ensure!(!told(&format!("# syntax={name} policy=off"))?, "the policy of the syntax line was not used");
    command::run(subject.client.docker().args(["rmi", name]))
}

fn with_first_line(dir: &Path, line: &str) -> Result<std::path::PathBuf> {
    let text = fs::read_to_string(dockerfile("MixedCacheSharing/one-after-the-other"))
        .context("it is in testdata")?;
    let path = dir.join("Dockerfile");
    fs::write(&path, format!("{line}\n{text}")).context("cannot write a Dockerfile")?;
    Ok(path)
}

/// The host command, talking to this engine and making images of this frontend.
fn ci_build(subject: &Subject) -> Result<Command> {
    let mut command = subject.client.set_up(Command::new(&subject.command));
    command.env("CI_BUILD_FRONTEND_BINARY", artifacts::frontend()?);
    Ok(command)
}
