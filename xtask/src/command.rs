//! Other programs, run to their end.

use std::{
    env,
    ffi::OsString,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};

/// Runs `command` and returns what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started or does not succeed; the message holds the end of its standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = finish(command)?;
    if !output.status.success() {
        bail!("`{}` failed, {}{}", shown(command), output.status, quoted_tail(&output.stderr));
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something else than UTF-8", shown(command)))
}

/// Runs `command` for its effect alone.
///
/// # Errors
/// As [`output`].
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Whether `command` succeeds.
///
/// # Errors
/// When it cannot be started.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    Ok(finish(command)?.status.success())
}

fn finish(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot run `{}`", shown(command)))
}

/// The command as a person would type it, without its environment.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The last lines of what a program wrote, indented, on lines of their own.
pub fn quoted_tail(written: &[u8]) -> String {
    const LINES: usize = 20;
    let text = String::from_utf8_lossy(written);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("\n  {line}")).collect()
}

/// A `PATH` with `first` before what this process has.
///
/// # Errors
/// When one of them has a colon in its name.
pub fn search_path(first: &[PathBuf]) -> Result<OsString> {
    let rest = env::var_os("PATH").unwrap_or_default();
    let dirs = first.iter().cloned().chain(env::split_paths(&rest));
    env::join_paths(dirs).context("a colon in the path of a directory of programs")
}
