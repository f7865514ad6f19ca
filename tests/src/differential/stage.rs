//! The place where a case is built on an engine, in every way.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use xtask::engines::Kind;
use xtask::{build, command};

use super::bench::{self, Bench};
use super::case::{Case, Need, TAG};
use super::cell::last_lines;
use super::facts::Facts;
use super::files;
use super::image::{self, Layers};
use super::invoke::{STAND_IN, Setting, Way};
use super::services::Services;
use crate::definition;

/// The place where a case is built. Its files go when this is dropped.
pub(super) struct Stage<'s> {
    /// The case.
    pub(super) case: &'s Case,
    bench: &'s Bench,
    directory: PathBuf,
    words: Vec<(&'static str, String)>,
}

impl<'s> Stage<'s> {
    /// Makes the files of a case.
    ///
    /// # Errors
    /// When they cannot be made.
    pub(super) fn new(case: &'s Case, bench: &'s Bench, services: &Services) -> Result<Self> {
        let engine = bench.engine.kind().name();
        let directory = services.root().join(engine).join(&case.name);
        let mut words = bench.words();
        words.push(("@http@", format!("{}/{engine}/{}", services.http(), case.name)));
        words.push(("@git@", format!("{}/{engine}/{}", services.git(), case.name)));
        words.push(("@work@", directory.display().to_string()));
        if let Some(socket) = services.ssh_agent().filter(|_| case.needs.contains(&Need::SshAgent)) {
            words.push(("@ssh-agent@", socket.display().to_string()));
        }
        fs::create_dir_all(&directory).context("cannot create a directory")?;
        let stage = Self { case, bench, directory, words };
        files::make(&case.files, &stage.directory, &|text| stage.fill(text))?;
        Ok(stage)
    }

    fn fill(&self, text: &str) -> String {
        self.words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    /// The engine.
    pub(super) fn kind(&self) -> Kind {
        self.bench.engine.kind()
    }

    /// Builds the case cold, and then once more.
    ///
    /// # Errors
    /// Not for what a build does; when something else cannot be done.
    pub(super) fn build(&self, way: Way, layers: &mut Layers) -> Result<Facts> {
        let (case, client) = (self.case, &self.bench.client);
        let mut setting = self.setting(way);
        let out = setting.out.clone();
        self.write_dockerfile(way)?;
        build::forget(client)?;
        let mut facts = Facts::default();
        for before in &case.before {
            let own = setting.way;
            setting.way = if before.upstream { Way::Upstream } else { own };
            facts.append("before", setting.before(case, &before.arguments)?);
            setting.way = own;
            if !before.keep {
                build::forget(client)?;
            }
        }
        let cold = setting.run(case, layers)?;
        if cold.get("exit") == Some("0") {
            for image in case.images() {
                facts.append("saved", self.saved(&image, layers)?);
            }
        }
        facts.append("cold", cold);
        facts.append("warm", setting.run(case, layers)?);
        for image in case.images() {
            // A failed build has none.
            command::succeeds(client.docker().args(["rmi", "--force", &image]))?;
        }
        fs::remove_dir_all(out).context("cannot remove results")?;
        let mut known: Vec<_> =
            setting.words.iter().map(|(word, value)| (value.clone(), (*word).to_owned())).collect();
        known.push((self.bench.frontend.clone(), "@frontend@".to_owned()));
        known.push((STAND_IN.to_owned(), "@stand-in@".to_owned()));
        if let Some(line) = way.first_line(case.syntax, &self.bench.frontend) {
            known.push((line.trim_end().to_owned(), "@first-line@".to_owned()));
        }
        // A long one may hold a short one.
        known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        known.retain(|(_, word)| word != "@busybox@" && word != "@tag@");
        // What the client sends by itself, an archive from its standard input, has such an address.
        Ok(facts.renamed(&known).anonymous("http://buildkit-session/"))
    }

    fn setting(&self, way: Way) -> Setting<'s> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("n{:05}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let out = self.directory.with_extension("out").join("results");
        let mut words = self.words.clone();
        words.push(("@out@", out.display().to_string()));
        words.push(("@name@", name));
        words.push(("@tag@", TAG.to_owned()));
        let Bench { client, frontend, .. } = self.bench;
        Setting { client, frontend, way, work: self.directory.clone(), words, out }
    }

    /// Has the definitions of upstream and of ours captured in one build, and gives how many there are, and what differs.
    /// None where there are none: where the Dockerfile has an error, say.
    ///
    /// # Errors
    /// When what was captured cannot be compared.
    pub(super) fn definitions(&self) -> Result<Option<definition::Compared>> {
        self.write_dockerfile(Way::Upstream)?;
        let setting = self.setting(Way::Off);
        let captured = setting.capture(self.case)?;
        let compared = captured.map(|captured| definition::compare(&captured)).transpose();
        // There is nothing where nothing was captured.
        let _ = fs::remove_dir_all(&setting.out);
        compared
    }

    fn saved(&self, image: &str, layers: &mut Layers) -> Result<Facts> {
        let path = self.directory.with_extension("saved");
        if let Err(refusal) = bench::save(&self.bench.client, image, &path) {
            let mut facts = Facts::default();
            facts.put("refused", last_lines(&refusal.to_string()));
            return Ok(facts);
        }
        let archive = image::unpack(fs::File::open(&path).context("cannot open a saved image")?)?;
        fs::remove_file(&path).context("cannot remove a saved image")?;
        image::facts(&archive, layers)
    }

    fn write_dockerfile(&self, way: Way) -> Result<()> {
        if let Some(text) = &self.case.dockerfile {
            let path: &Path = &self.directory.join("Dockerfile");
            let first = way.first_line(self.case.syntax, &self.bench.frontend).unwrap_or_default();
            fs::write(path, first + &self.fill(text)).context("cannot write a Dockerfile")?;
        }
        files::settle(&self.directory)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // All of it lies in a directory that goes at the end, in any case.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
