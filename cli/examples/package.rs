//! Writes what a package has beside the program: `cargo run -p ci-build --example package -- DIRECTORY`.

use std::ffi::OsString;
use std::fs;
use std::io::{Error, Result};
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_complete::generate_to;
use clap_mangen::Man;
use clap_mangen::roff::Roff;

fn main() -> Result<()> {
    let Some(directory) = std::env::args_os().nth(1) else { return Err(Error::other("which directory?")) };
    let directory = Path::new(&directory);
    let [man, completions] = ["man", "completions"].map(|name| directory.join(name));
    for made in [&man, &completions] {
        fs::create_dir_all(made)?;
    }
    let mut command = ci_build::commands::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "ci-build", &completions)?;
    }
    command.build();
    pages(command, "ci-build", &man)
}

/// A page for the command, and for each below it.
fn pages(command: Command, name: &str, directory: &Path) -> Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        pages(sub.clone(), &format!("{name}-{}", sub.get_name()), directory)?;
    }
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command).title(name.to_uppercase());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if name == "ci-build" {
        man.render_subcommands_section(&mut page)?;
    }
    notes(&text).to_writer(&mut page)?;
    fs::write(directory.join(OsString::from(format!("{name}.1"))), page)
}

/// Examples and what else stands below the flags, line for line as `--help` has it.
fn notes(text: &str) -> Roff {
    let mut roff = Roff::new();
    let (examples, rest) = match text.strip_prefix("Examples:\n") {
        Some(text) => text.split_once("\n\n").unwrap_or((text, "")),
        None => ("", text),
    };
    for (title, text) in [("EXAMPLES", examples), ("NOTES", rest)] {
        if !text.is_empty() {
            roff.control("SH", [title]);
            roff.control("nf", []);
            text.lines().for_each(|line| {
                roff.text([clap_mangen::roff::roman(line)]);
            });
            roff.control("fi", []);
        }
    }
    roff
}
