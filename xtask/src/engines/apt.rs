//! The machine's own apt configuration: which mirror it uses, and by which keys it trusts it.
//!
//! Formats: sources.list(5), both the one-line form and deb822.

use std::{fs, io, path::Path};

use anyhow::{Context, Result};

/// One stanza or line that offers binary packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) uris: Vec<String>,
    pub(crate) suites: Vec<String>,
    components: Vec<String>,
    /// The value of `Signed-By` as it stands: a path, fingerprints, or a whole key of many lines.
    pub(crate) signed_by: Option<String>,
    /// `Trusted: yes`: signatures are not asked for.
    trusted: bool,
}

impl Source {
    /// The same archive, for another suite.
    pub(crate) fn of_suite(&self, suite: &str) -> Source {
        Source { suites: vec![suite.to_owned()], components: vec!["main".to_owned()], ..self.clone() }
    }

    /// The stanza in deb822 form.
    pub(crate) fn to_deb822(&self) -> String {
        let fields = [
            ("URIs", self.uris.join(" ")),
            ("Suites", self.suites.join(" ")),
            ("Components", self.components.join(" ")),
            ("Signed-By", self.signed_by.clone().unwrap_or_default()),
            ("Trusted", if self.trusted { "yes".to_owned() } else { String::new() }),
        ];
        let mut text = "Types: deb\n".to_owned();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            let space = if value.starts_with('\n') { "" } else { " " };
            text.push_str(&format!("{name}:{space}{value}\n"));
        }
        text
    }
}

/// Those of `sources` that are Debian's `suite` itself (first) and what belongs to it: updates, security, backports.
/// Other people's archives may call a suite the same, but not their component.
pub(crate) fn of_debian(sources: &[Source], suite: &str) -> Vec<Source> {
    let companions = ["", "-updates", "-security", "-backports"].map(|suffix| format!("{suite}{suffix}"));
    let mut found: Vec<_> = sources
        .iter()
        .filter(|source| source.components.iter().any(|component| component == "main"))
        .filter(|source| source.suites.iter().all(|suite| companions.contains(suite)))
        .cloned()
        .collect();
    found.sort_by_key(|source| !source.suites.iter().any(|of_source| of_source == suite));
    found
}

/// Everything that `/etc/apt` lists.
///
/// # Errors
/// When a file of it cannot be read.
pub(crate) fn machine_sources() -> Result<Vec<Source>> {
    let mut sources = parse_one_line(&read_if_there(Path::new("/etc/apt/sources.list"))?);
    let parts = Path::new("/etc/apt/sources.list.d");
    let mut paths = match fs::read_dir(parts) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
    .with_context(|| format!("cannot read {}", parts.display()))?;
    paths.sort();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => sources.extend(parse_deb822(&read_if_there(&path)?)),
            Some("list") => sources.extend(parse_one_line(&read_if_there(&path)?)),
            _ => {}
        }
    }
    Ok(sources)
}

fn read_if_there(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The enabled `deb` stanzas of a `*.sources` file.
fn parse_deb822(text: &str) -> Vec<Source> {
    let mut stanzas = vec![Vec::<(String, String)>::new()];
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        // The vector starts with one stanza and only grows.
        let Some(stanza) = stanzas.last_mut() else { continue };
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((field, value)) = line.split_once(':') {
            stanza.push((field.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    stanzas.iter().filter_map(|stanza| source_of_stanza(stanza)).collect()
}

fn source_of_stanza(stanza: &[(String, String)]) -> Option<Source> {
    let value = |name: &str| stanza.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let words = |name: &str| -> Vec<String> {
        value(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let enabled = value("enabled").is_none_or(is_yes);
    (enabled && words("types").iter().any(|kind| kind == "deb")).then(|| Source {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signed_by: value("signed-by").map(str::to_owned),
        trusted: value("trusted").is_some_and(is_yes),
    })
}

/// The `deb` lines of a `*.list` file.
fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(source_of_line).collect()
}

fn source_of_line(line: &str) -> Option<Source> {
    let line = line.split_once('#').map_or(line, |(before, _)| before);
    let rest = line.trim().strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let option = |name: &str| {
        options.split_whitespace().filter_map(|option| option.split_once('=')).find(|(key, _)| *key == name)
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: option("signed-by").map(|(_, value)| value.to_owned()),
        trusted: option("trusted").is_some_and(|(_, value)| is_yes(value)),
    })
}

/// What apt takes for a yes (apt-pkg's StringToBool).
fn is_yes(value: &str) -> bool {
    ["yes", "true", "with", "on", "enable", "1"].contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
# another one
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://disabled.example/
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/
Suites: bookworm
Components: main
";

    const ONE_LINE: &str = "\
# deb http://commented.example/ bookworm main
deb http://mirror.example/debian bookworm main contrib # a comment
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/apt/keyrings/other.gpg] http://other.example/linux bookworm stable
deb [ trusted=yes ] file:/srv/flat ./
";

    #[test]
    fn reads_deb822() {
        let sources = parse_deb822(DEB822);
        assert_eq!(sources.len(), 2);
        insta::assert_snapshot!(sources.iter().map(Source::to_deb822).collect::<Vec<_>>().join("\n"), @r"
        Types: deb
        URIs: http://mirror.example/debian
        Suites: bookworm bookworm-updates
        Components: main contrib
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

        Types: deb
        URIs: http://mirror.example/debian-security
        Suites: bookworm-security
        Components: main
        Signed-By:
         -----BEGIN PGP PUBLIC KEY BLOCK-----
         .
         abc
         -----END PGP PUBLIC KEY BLOCK-----
        ");
    }

    #[test]
    fn reads_the_one_line_form() {
        let sources = parse_one_line(ONE_LINE);
        insta::assert_snapshot!(sources.iter().map(Source::to_deb822).collect::<Vec<_>>().join("\n"), @r"
        Types: deb
        URIs: http://mirror.example/debian
        Suites: bookworm
        Components: main contrib

        Types: deb
        URIs: http://other.example/linux
        Suites: bookworm
        Components: stable
        Signed-By: /etc/apt/keyrings/other.gpg

        Types: deb
        URIs: file:/srv/flat
        Suites: ./
        Trusted: yes
        ");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for source in parse_deb822(DEB822).into_iter().chain(parse_one_line(ONE_LINE)) {
            assert_eq!(parse_deb822(&source.to_deb822()), [source]);
        }
    }

    #[test]
    fn finds_debian_among_others() {
        let mut sources = parse_one_line(ONE_LINE);
        sources.splice(0..0, parse_deb822(DEB822).into_iter().rev());
        let found = of_debian(&sources, "bookworm");
        let uris: Vec<_> = found.iter().flat_map(|source| &source.uris).collect();
        assert_eq!(
            uris,
            [
                "http://mirror.example/debian",
                "http://mirror.example/debian",
                "http://mirror.example/debian-security"
            ]
        );
        assert_eq!(of_debian(&sources, "noble"), []);
    }
}
