//! The Dockerfile of a build, where it is on this machine: found as buildx finds it (`build/opt.go`, `loadInputs`).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::asked::Asked;

/// The largest Dockerfile that is looked at, in bytes.
const LARGEST: u64 = 64 << 20;

/// So many bytes tell an archive from a text.
const HEAD: usize = 1024;

/// Where a Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whereabouts {
    File(PathBuf),
    /// On standard input, which may be an archive if it is the context as well.
    Stdin {
        may_be_archive: bool,
    },
    OutOfSight,
}

/// A Dockerfile.
#[derive(Debug)]
pub struct Source {
    /// Its text, where it can be read here.
    pub text: Option<Vec<u8>>,
    /// Its path, where it is a file.
    pub path: Option<PathBuf>,
    /// What buildx gets as standard input.
    pub stdin: Input,
}

/// Standard input, after we looked at it.
#[derive(Debug)]
pub enum Input {
    /// As we have it.
    Untouched,
    /// All that was in it.
    Read(Vec<u8>),
    /// The beginning of it; the rest is still in there.
    Begun(Vec<u8>),
}

impl Source {
    /// Finds and reads it.
    pub fn of(asked: &Asked) -> Self {
        let unseen = |stdin| Self { text: None, path: None, stdin };
        match whereabouts(asked) {
            Whereabouts::OutOfSight => unseen(Input::Untouched),
            Whereabouts::File(path) => {
                let text = File::open(&path).ok().and_then(|file| whole(file).ok().flatten());
                Self { text, path: Some(path), stdin: Input::Untouched }
            }
            Whereabouts::Stdin { may_be_archive } => match stdin(may_be_archive) {
                Input::Read(text) => Self { text: Some(text.clone()), path: None, stdin: Input::Read(text) },
                stdin => unseen(stdin),
            },
        }
    }
}

/// Where it is; also where it is not there, which buildx will say.
fn whereabouts(asked: &Asked) -> Whereabouts {
    let Some(context) = &asked.context else { return Whereabouts::OutOfSight };
    let is_stdin = |word: &OsStr| word == "-";
    let file = asked.file.as_deref();
    match file {
        Some(file) if is_stdin(file) && is_stdin(context) => Whereabouts::OutOfSight,
        Some(file) if is_stdin(file) => Whereabouts::Stdin { may_be_archive: false },
        None if is_stdin(context) => Whereabouts::Stdin { may_be_archive: true },
        // In the archive.
        Some(_) if is_stdin(context) => Whereabouts::OutOfSight,
        Some(file) if is_url(file) => Whereabouts::OutOfSight,
        Some(file) if Path::new(context).is_dir() || Path::new(file).is_absolute() => {
            Whereabouts::File(lower_case(Path::new(file)))
        }
        None if Path::new(context).is_dir() => {
            Whereabouts::File(lower_case(&Path::new(context).join("Dockerfile")))
        }
        _ => Whereabouts::OutOfSight,
    }
}

fn is_url(file: &OsStr) -> bool {
    file.to_str().is_some_and(|file| file.starts_with("http://") || file.starts_with("https://"))
}

/// `dockerfile` stands in for a `Dockerfile` that is not there.
fn lower_case(path: &Path) -> PathBuf {
    let lower = path.with_file_name("dockerfile");
    let is_other =
        path.file_name().is_some_and(|name| name == "Dockerfile") && !path.exists() && lower.exists();
    if is_other { lower } else { path.to_owned() }
}

/// All of a file; none if it is too large for a Dockerfile.
fn whole(file: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= LARGEST).then_some(text))
}

fn stdin(may_be_archive: bool) -> Input {
    let mut stdin = io::stdin().lock();
    let mut text = Vec::new();
    if may_be_archive
        && (stdin.by_ref().take(HEAD as u64).read_to_end(&mut text).is_err() || is_archive(&text))
    {
        return Input::Begun(text);
    }
    match stdin.by_ref().take(LARGEST).read_to_end(&mut text) {
        Ok(_) if (text.len() as u64) < LARGEST => Input::Read(text),
        _ => Input::Begun(text),
    }
}

/// Whether it begins as a tar archive, or one that gzip, bzip2, xz or zstd has compressed.
fn is_archive(head: &[u8]) -> bool {
    let magic: [&[u8]; 4] =
        [&[0x1f, 0x8b], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z', 0], &[0x28, 0xb5, 0x2f, 0xfd]];
    magic.iter().any(|magic| head.starts_with(magic)) || head.contains(&0)
}

impl Input {
    /// Standard input for a command, as it was before it was looked at.
    ///
    /// # Errors
    /// When there is no room for what was read, or no pipe for what was not.
    pub fn stdio(self) -> io::Result<Stdio> {
        Ok(match self {
            Self::Untouched => Stdio::inherit(),
            Self::Read(text) => {
                // A file without a name: nothing is left of it, whatever ends us.
                let mut file = tempfile::tempfile()?;
                file.write_all(&text)?;
                file.rewind()?;
                file.into()
            }
            Self::Begun(head) => {
                let (reader, mut writer) = io::pipe()?;
                std::thread::spawn(move || {
                    // Whoever reads may have ended.
                    let _ =
                        writer.write_all(&head).and_then(|()| io::copy(&mut io::stdin().lock(), &mut writer));
                });
                reader.into()
            }
        })
    }
}

/// The files beside a Dockerfile that belong to it by its name: what is left out of the context, and buildx's policy.
pub fn companions(path: &Path) -> impl Iterator<Item = (PathBuf, OsString)> {
    let name = path.file_name().unwrap_or_default().to_owned();
    let path = path.to_owned();
    [".dockerignore", ".rego"].into_iter().filter_map(move |ending| {
        let mut name = name.clone();
        name.push(ending);
        let file = path.with_file_name(&name);
        file.is_file().then_some((file, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &str) -> Whereabouts {
        whereabouts(&Asked::read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>()))
    }

    #[test]
    fn it_is_found_as_buildx_finds_it() {
        let directory = tempfile::tempdir().unwrap();
        let context = directory.path().to_str().unwrap();
        let file = |name: &str| Whereabouts::File(directory.path().join(name));
        assert_eq!(at(context), file("Dockerfile"));
        std::fs::write(directory.path().join("dockerfile"), "").unwrap();
        assert_eq!(at(context), file("dockerfile"));
        std::fs::write(directory.path().join("Dockerfile"), "").unwrap();
        assert_eq!(at(context), file("Dockerfile"));
        assert_eq!(at(&format!("-f a/b {context}")), Whereabouts::File("a/b".into()), "from where we are");
        let url = "https://example.org/repository.git";
        assert_eq!(at(url), Whereabouts::OutOfSight);
        assert_eq!(at(&format!("-f a {url}")), Whereabouts::OutOfSight, "in the repository");
        assert_eq!(at(&format!("-f /a {url}")), Whereabouts::File("/a".into()));
        assert_eq!(at(&format!("-f {url} {context}")), Whereabouts::OutOfSight);
        assert_eq!(at(&format!("-f - {url}")), Whereabouts::Stdin { may_be_archive: false });
        assert_eq!(at(&format!("-f - {context}")), Whereabouts::Stdin { may_be_archive: false });
        assert_eq!(at("-"), Whereabouts::Stdin { may_be_archive: true });
        assert_eq!(at("-f a -"), Whereabouts::OutOfSight);
        assert_eq!(
            [at("-f - -"), at(""), at("/no/such/directory")],
            [Whereabouts::OutOfSight, Whereabouts::OutOfSight, Whereabouts::OutOfSight]
        );
    }

    #[test]
    fn archives_are_told_from_texts() {
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut tar::Header::new_ustar(), "a", io::empty()).unwrap();
        let tar = archive.into_inner().unwrap();
        assert!(is_archive(&tar[..HEAD.min(tar.len())]));
        assert!(is_archive(b"\x1f\x8b\x08"));
        assert!(!is_archive("FROM x\n# ä".as_bytes()));
        assert!(!is_archive(b""));
    }

    #[test]
    fn what_belongs_to_it_is_found() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.Dockerfile", "a.Dockerfile.dockerignore", ".dockerignore"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let found: Vec<_> =
            companions(&directory.path().join("a.Dockerfile")).map(|(_, name)| name).collect();
        assert_eq!(found, ["a.Dockerfile.dockerignore"]);
    }
}
