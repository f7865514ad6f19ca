//! The package that users install, made of the command as tests have it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use xtask::package::root::Root;
use xtask::package::{Programs, archive, deb};
use xtask::{artifacts, command};

/// Nobody runs these.
fn stand_ins(directory: &Path) -> Result<Programs> {
    let program = directory.join("program");
    fs::write(&program, "#!/bin/sh\n")?;
    Ok(Programs { command: program.clone(), frontend: program })
}

/// The frontend is not looked into here: `cargo xtask package deb` builds and tries it.
fn command_without_symbols(directory: &Path) -> Result<Programs> {
    let program = directory.join("ci-build");
    // Symbols would be packed for minutes.
    command::run(Command::new("strip").arg("-o").arg(&program).arg(artifacts::command()?))?;
    Ok(Programs { command: program, ..stand_ins(directory)? })
}

#[test]
fn the_debian_package_installs_in_a_clean_root_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let package = deb::make(&command_without_symbols(directory.path()).unwrap(), directory.path()).unwrap();
    for has_docker in [true, false] {
        let root = Root::install(&package, has_docker).unwrap();
        assert_eq!(root.run(&["--version"]).unwrap(), format!("ci-build {}\n", xtask::package::VERSION));
        root.has_state_directory(has_docker).unwrap();
        assert_ne!(root.has_units().unwrap(), 0);
        assert_ne!(root.has_pages().unwrap(), 0);
        root.has_completions().unwrap();
        // Controls: who reads them sees what is wrong with one.
        let unit = root.path().join("usr/lib/systemd/system/ci-build-watch.service");
        let text = fs::read_to_string(&unit).unwrap();
        fs::write(&unit, text.replace("Restart=always", "Restart=somehow")).unwrap();
        root.has_units().unwrap_err();
        for place in ["bash-completion/completions/ci-build", "fish/vendor_completions.d/ci-build.fish"] {
            let path = root.path().join("usr/share").join(place);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("{text}\nif (\n")).unwrap();
            root.has_completions().unwrap_err();
            fs::write(&path, text).unwrap();
        }
        root.purge().unwrap();
    }
}

#[test]
fn what_is_made_of_one_commit_is_the_same_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let programs = stand_ins(directory.path()).unwrap();
    for make in [deb::make, archive::make] {
        let path = make(&programs, directory.path()).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(fs::read(make(&programs, directory.path()).unwrap()).unwrap() == bytes, "{}", path.display());
    }
}

#[test]
fn all_of_the_archive_stands_below_one_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = archive::make(&stand_ins(directory.path()).unwrap(), directory.path()).unwrap();
    let file = fs::File::open(&path).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let names: Vec<_> = names.collect();
    let top = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".tar.gz");
    assert!(names.iter().all(|name| name.starts_with(&format!("{top}/"))), "{names:?}");
    for file in ["bin/ci-build", "lib/ci-build/ci-build-frontend", "share/man/man1/ci-build-lock.1.gz"] {
        assert!(names.contains(&format!("{top}/{file}")), "{names:?}");
    }
}
