//! A service and a timer of systemd.

use super::{File, Setup};

const SERVICE: &str = include_str!("ci-build-sweep.service");
const TIMER: &str = include_str!("ci-build-sweep.timer");

/// Root's state is the host's, which a group may share: systemd would set the mode and the owner of a `StateDirectory=` anew
/// (systemd.exec(5)). It is made where it is missing, before what follows may write to nothing else. Such a state has directories with the
/// set-group-ID bit, so that the service has no `RestrictSUIDSGID=`, which would take `openat2` away too.
const STATE_OF_THE_HOST: &str = "\
ExecStartPre=+/bin/mkdir -p -m 0700 /var/lib/ci-build
ReadWritePaths=/var/lib/ci-build
Environment=CI_BUILD_STATE_DIR=/var/lib/ci-build
";

/// That of a user is that user's alone.
const STATE_OF_A_USER: &str = "\
StateDirectory=ci-build-sweep
StateDirectoryMode=0700
Environment=CI_BUILD_STATE_DIR=/var/lib/ci-build-sweep
";

/// The two files.
pub(super) fn files(setup: &Setup) -> Vec<File> {
    // In a command, and nowhere else, `$` names a variable.
    let command: Vec<String> = setup.command().map(|text| word(text).replace('$', "$$")).collect();
    // One that is not there yet is no reason not to sweep the others.
    let directories = setup.directories.iter().map(|path| format!("-{path}"));
    let directories: Vec<String> = directories.map(|path| word(&path)).collect();
    let variables = setup.environment.iter().map(|(name, value)| word(&format!("{name}={value}")));
    let variables: String = variables.map(|variable| format!("Environment={variable}\n")).collect();
    let user = setup.user.as_deref();
    let state = if user.is_some() { STATE_OF_A_USER } else { STATE_OF_THE_HOST };
    let line = user.map(|user| format!("User={}\n", word(user))).unwrap_or_default();
    let text = SERVICE
        .replace("@USER@\n", &line)
        .replace("@STATE@\n", state)
        .replace("@COMMAND@", &command.join(" "))
        .replace("@DIRECTORIES@", &directories.join(" "))
        .replace("@ENVIRONMENT@\n", &variables);
    vec![
        File { place: "/etc/systemd/system/ci-build-sweep.service", text },
        File { place: "/etc/systemd/system/ci-build-sweep.timer", text: TIMER.into() },
    ]
}

/// A word as systemd reads it: quoted, with what it would replace doubled, and what would end a line escaped (systemd.syntax(7),
/// systemd.unit(5)).
fn word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn nothing_ends_a_line() {
        assert_eq!(word("a b%c\"$"), "\"a b%%c\\\"$\"");
        assert_eq!(word("/a\nExecStart=/x\r\t"), r#""/a\x0aExecStart=/x\x0d\x09""#);
    }

    #[test]
    fn systemd_takes_the_units() {
        let directory = tempfile::tempdir().unwrap();
        let setup = Setup {
            program: "/bin/true".into(),
            words: ["sweep", "--keep", "a b%c$", "/var/tmp"].map(String::from).to_vec(),
            directories: vec![directory.path().join("a cache").display().to_string(), "/var/tmp".into()],
            environment: BTreeMap::from([("HOME".into(), "/root".into())]),
            user: Some("daemon".into()),
        };
        verify(directory.path(), &files(&Setup { user: None, ..setup.clone() }));
        let files = files(&setup);
        let paths = verify(directory.path(), &files);
        // A control: it does notice what is wrong.
        std::fs::write(&paths[0], files[0].text.replace("Type=oneshot", "Type=never")).unwrap();
        let said = analyze(&paths).is_none_or(|said| said.contains("ci-build-sweep"));
        assert!(said);
    }

    /// Has systemd read the files, and tells where they are.
    fn verify(directory: &Path, files: &[File]) -> Vec<PathBuf> {
        let marks = ["S@", "@ENV", "@USER", "@STATE"];
        assert!(files.iter().all(|file| !marks.iter().any(|mark| file.text.contains(mark))));
        let write = |file: &File| {
            let path = directory.join(Path::new(file.place).file_name().unwrap());
            std::fs::write(&path, &file.text).unwrap();
            path
        };
        let paths: Vec<PathBuf> = files.iter().map(write).collect();
        let said = analyze(&paths).unwrap_or_default();
        assert!(!said.contains("ci-build-sweep"), "{said}");
        paths
    }

    /// What systemd says of units; none on a machine without it.
    fn analyze(paths: &[PathBuf]) -> Option<String> {
        let analyzed = std::process::Command::new("systemd-analyze").arg("verify").args(paths).output();
        analyzed.ok().map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
