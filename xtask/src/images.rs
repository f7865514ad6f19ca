//! Base images without a registry.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use tar::{EntryType, Header};
use tempfile::NamedTempFile;

use crate::{
    client::Client,
    command,
    engines::{self, ARM64, MMDEBSTRAP, Source, TOOLS},
};

/// The smallest image with a shell.
pub const BUSYBOX: &str = "local/busybox:latest";

/// The machine's own Debian release, with its apt sources.
pub const DEBIAN: &str = "local/debian:latest";

/// Busybox links itself under any of its names; these are the ones that Dockerfiles use.
const APPLETS: [&str; 41] = [
    "[", "awk", "basename", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "dirname", "du",
    "echo", "env", "expr", "false", "find", "grep", "head", "id", "ln", "ls", "mkdir", "mktemp", "mount",
    "mv", "printf", "ps", "rm", "rmdir", "sed", "sh", "sleep", "sort", "stat", "sync", "test", "touch",
    "true", "wc",
];

/// Gives the engine the image [`BUSYBOX`].
///
/// # Errors
/// When busybox cannot be fetched, or the engine does not take it.
pub fn busybox(client: &Client) -> Result<()> {
    import_busybox(client, &engines::fetch_suite(&TOOLS)?.bin(), BUSYBOX, &[])
}

/// Gives the engine the image [`BUSYBOX`] of two platforms, under the names `local/busybox-amd64` and
/// `local/busybox-arm64`.
///
/// # Errors
/// As [`busybox`].
pub fn busybox_of_platforms(client: &Client) -> Result<()> {
    command::run(client.docker().args(["tag", BUSYBOX, "local/busybox-amd64:latest"]))?;
    let bin = engines::fetch_suite(&ARM64)?.bin();
    import_busybox(client, &bin, "local/busybox-arm64:latest", &["--platform=linux/arm64"])
}

fn import_busybox(client: &Client, bin: &Path, reference: &str, options: &[&str]) -> Result<()> {
    let busybox = bin.join("busybox");
    let mut tar = NamedTempFile::new_in(engines::engines_dir()?).context("cannot create a tar file")?;
    write_busybox(&busybox, &mut tar).context("cannot write the tar file of busybox")?;
    import(client, tar.path(), reference, options, &["ENV PATH=/bin", r#"CMD ["sh"]"#])
}

/// Gives the engine the image [`DEBIAN`], where it has none. The first time, it is made, which takes as long as installing a
/// small system.
///
/// # Errors
/// When it cannot be made, or the engine does not take it.
pub fn debian(client: &Client) -> Result<()> {
    if command::succeeds(client.docker().args(["image", "inspect", DEBIAN]))? {
        return Ok(());
    }
    import(client, &debian_tar()?, DEBIAN, &[], &[r#"CMD ["bash"]"#])
}

/// Makes what [`debian`] gives to engines, where it is not made yet.
///
/// # Errors
/// When it cannot be made.
pub fn prepare() -> Result<()> {
    debian_tar().map(drop)
}

/// Gives the engine an image of one static program, a frontend, which it starts with. As that of ours it asks for no network: one that
/// is made for it takes as long as the rest of its container.
///
/// # Errors
/// When the program cannot be read, or the engine does not take it.
pub fn of_frontend(client: &Client, program: &Path, reference: &str) -> Result<()> {
    let mut tar = NamedTempFile::new().context("cannot create a tar file")?;
    let mut archive = tar::Builder::new(&mut tar);
    // A linker may leave holes in a program, and not every engine reads an archive with such.
    archive.sparse(false);
    archive.append_path_with_name(program, "program").context("cannot write a tar file")?;
    archive.finish().context("cannot write a tar file")?;
    drop(archive);
    let changes = [r#"ENTRYPOINT ["/program"]"#, "LABEL moby.buildkit.frontend.network.none=true"];
    import(client, tar.path(), reference, &[], &changes)
}

/// Gives another engine an image, with the digest that it has.
///
/// # Errors
/// When the one does not give it, or the other does not take it.
pub fn copy(from: &Client, to: &Client, reference: &str) -> Result<()> {
    let tar = NamedTempFile::new_in(engines::engines_dir()?).context("cannot create a tar file")?;
    command::run(from.docker().args(["save", "--output"]).arg(tar.path()).arg(reference))?;
    command::run(to.docker().args(["load", "--input"]).arg(tar.path()))
}

fn import(client: &Client, tar: &Path, reference: &str, options: &[&str], changes: &[&str]) -> Result<()> {
    let mut docker = client.docker();
    docker.arg("import").args(options);
    for change in changes {
        docker.args(["--change", change]);
    }
    command::run(docker.arg(tar).arg(reference))
}

/// Writes the files of [`BUSYBOX`] as a tar archive: a layer for who has no docker.
///
/// # Errors
/// When busybox cannot be fetched, or the archive not be written.
pub fn busybox_layer(tar: impl io::Write) -> Result<()> {
    let busybox = engines::fetch_suite(&TOOLS)?.bin().join("busybox");
    write_busybox(&busybox, tar).context("cannot write the tar file of busybox")
}

/// The same bytes for the same busybox: no owner, no time.
fn write_busybox(busybox: &Path, tar: impl io::Write) -> io::Result<()> {
    let mut tar = tar::Builder::new(tar);
    let header = |kind, mode| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(0);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    for (dir, mode) in [("bin/", 0o755), ("root/", 0o700), ("tmp/", 0o1777)] {
        tar.append_data(&mut header(EntryType::Directory, mode), dir, io::empty())?;
    }
    let program = File::open(busybox)?;
    let mut file = header(EntryType::Regular, 0o755);
    file.set_size(program.metadata()?.len());
    tar.append_data(&mut file, "bin/busybox", program)?;
    for applet in APPLETS {
        tar.append_link(&mut header(EntryType::Symlink, 0o777), format!("bin/{applet}"), "busybox")?;
    }
    tar.into_inner()?.flush()
}

/// Made once; remade when the file is deleted.
fn debian_tar() -> Result<PathBuf> {
    let engines = engines::engines_dir()?;
    let suite = engines::machine_suite()?;
    let path = engines.join(format!("debian-{suite}.tar"));
    let _lock = engines::lock(&engines.join("debian.lock"))?;
    if path.exists() {
        return Ok(path);
    }
    engines::need(&[MMDEBSTRAP])?;
    eprintln!("making a Debian {suite} image");
    let sources = engines::of_debian(&engines::machine_sources()?, &suite);
    let work = tempfile::tempdir_in(&engines).context("cannot create a directory")?;
    let list = work.path().join("debian.sources");
    fs::write(&list, sources.iter().map(Source::to_deb822).collect::<Vec<_>>().join("\n"))
        .with_context(|| format!("cannot write {}", list.display()))?;
    let tar = work.path().join("debian.tar");
    let mut mmdebstrap = Command::new(MMDEBSTRAP.program);
    mmdebstrap.args(["--quiet", "--variant=minbase", "--format=tar"]).env("SOURCE_DATE_EPOCH", "0");
    for option in carried_apt_options()? {
        mmdebstrap.arg(format!("--aptopt={option}"));
    }
    // Debian's own keys come with apt; the image needs any other one at the same place.
    for key in sources.iter().filter_map(|source| source.signed_by.as_deref()) {
        if key.starts_with('/') && !key.starts_with("/usr/share/keyrings/debian-") {
            mmdebstrap.arg(format!("--customize-hook=upload {key} {key}"));
        }
    }
    command::run(mmdebstrap.arg(&suite).arg(&tar).arg(&list))?;
    fs::rename(&tar, &path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// What the machine's apt must be told about its mirror, the image's apt must be told as well.
fn carried_apt_options() -> Result<Vec<String>> {
    let dump = command::output(Command::new("apt-config").arg("dump"))?;
    let options = ["Acquire::Check-Valid-Until ", "Acquire::Check-Date "];
    let is_carried = |line: &&str| options.iter().any(|option| line.starts_with(option));
    Ok(dump.lines().filter(is_carried).map(|line| line.trim_end_matches(';').to_owned()).collect())
}
