//! A case on an engine: built by upstream, by ours with each policy, and by upstream again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use serde::{Deserialize, Serialize};
use xtask::{build, command};

use super::bench::{self, Bench};
use super::case::{Case, Need};
use super::compare::{Difference, compare};
use super::facts::Facts;
use super::files;
use super::image::{self, Layers};
use super::invoke::{Setting, Way};
use super::services::Services;
use super::tolerance::{Place, Table};

/// What became of a case on an engine with one of our policies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cell {
    /// The topic of the case.
    pub topic: String,
    /// The case.
    pub case: String,
    /// The engine.
    pub engine: String,
    /// Our policy.
    pub policy: Way,
    /// Why there is nothing to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// What is wrong with the case itself, or with its being run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complaint: Option<String>,
    /// How upstream ended.
    pub exit: String,
    /// How many facts are equal.
    pub equal: usize,
    /// How many of these are digests of steps.
    pub digests: usize,
    /// How many upstream does not agree with itself on.
    pub unsteady: usize,
    /// The day.
    pub date: String,
    /// How long all builds of the case on this engine took, in milliseconds.
    pub wall_ms: u64,
    /// How many differences each row explains.
    pub explained: BTreeMap<String, usize>,
    /// The differences without a reason.
    pub differences: Vec<Difference>,
}

/// The verdict on a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing differs.
    Equal,
    /// What differs has a reason.
    Explained,
    /// Something differs without a reason, or the case is not what its data says.
    Wrong,
    /// It could not be run.
    NotRun,
}

impl Cell {
    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self { not_run: Some(_), .. } => Verdict::NotRun,
            Self { complaint: Some(_), .. } => Verdict::Wrong,
            Self { differences, .. } if !differences.is_empty() => Verdict::Wrong,
            Self { explained, .. } if !explained.is_empty() => Verdict::Explained,
            _ => Verdict::Equal,
        }
    }
}

/// Runs a case.
///
/// # Errors
/// Never for what a build does; when something else cannot be done.
pub fn run(case: &Case, bench: &Bench, services: &Services, layers: &mut Layers, table: &Table) -> Vec<Cell> {
    let begin = Instant::now();
    let kind = bench.engine.kind();
    let empty = |policy| Cell {
        topic: case.topic.clone(),
        case: case.name.clone(),
        engine: kind.name().to_owned(),
        policy,
        not_run: None,
        complaint: None,
        exit: String::new(),
        equal: 0,
        digests: 0,
        unsteady: 0,
        date: String::new(),
        wall_ms: 0,
        explained: BTreeMap::new(),
        differences: Vec::new(),
    };
    let policies = [Way::Off, Way::Auto];
    if let Some(reason) = services.lacks(&case.needs).or(bench.lacks(&case.needs)) {
        return policies.map(|policy| Cell { not_run: Some(reason.to_owned()), ..empty(policy) }).into();
    }
    let built = Stage::new(case, bench, services).and_then(|mut stage| stage.all(layers, table));
    let wall_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (upstream, ours, again) = match built {
        Ok(built) => built,
        Err(error) => {
            let complaint = Some(format!("{error:#}"));
            return policies
                .map(|policy| Cell { complaint: complaint.clone(), wall_ms, ..empty(policy) })
                .into();
        }
    };
    let exit = upstream.get("cold.exit").unwrap_or_default().to_owned();
    let complaint = (case.succeeds_on(kind) != (exit == "0")).then(|| {
        let said = upstream.get("cold.said").unwrap_or_default();
        format!("upstream ended with {exit}, which its data does not say: {}", last_lines(said))
    });
    let cells = policies.into_iter().zip(ours).map(|(policy, ours)| {
        let comparison = compare(&upstream, &again, &ours);
        let place = Place { case: &case.name, engine: kind.name(), policy: policy.name() };
        let mut explained = BTreeMap::new();
        let mut differences = Vec::new();
        for difference in comparison.differences {
            match table.explains(place, &difference) {
                Some(row) => *explained.entry(row.name.clone()).or_default() += 1,
                None => differences.push(shortened(difference)),
            }
        }
        Cell {
            exit: exit.clone(),
            complaint: complaint.clone(),
            equal: comparison.equal,
            digests: comparison.digests,
            unsteady: comparison.unsteady,
            wall_ms,
            explained,
            differences,
            ..empty(policy)
        }
    });
    cells.collect()
}

/// The place where a case is built.
struct Stage<'s> {
    case: &'s Case,
    bench: &'s Bench,
    directory: std::path::PathBuf,
    words: Vec<(&'static str, String)>,
}

impl<'s> Stage<'s> {
    fn new(case: &'s Case, bench: &'s Bench, services: &Services) -> Result<Self> {
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

    /// Upstream, ours, upstream again.
    fn all(&mut self, layers: &mut Layers, table: &Table) -> Result<(Facts, [Facts; 2], Facts)> {
        let mut one = |way| Ok::<_, Error>(self.one(way, layers)?.without(|fact| table.leaves_out(fact)));
        let upstream = one(Way::Upstream)?;
        let ours = [one(Way::Off)?, one(Way::Auto)?];
        let again = one(Way::Upstream)?;
        fs::remove_dir_all(&self.directory).context("cannot remove the files of a case")?;
        Ok((upstream, ours, again))
    }

    /// Cold, and then once more.
    fn one(&self, way: Way, layers: &mut Layers) -> Result<Facts> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let (case, client) = (self.case, &self.bench.client);
        let name = format!("n{:05}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let out = self.directory.with_extension("out").join("results");
        let mut setting = Setting {
            client,
            frontend: &self.bench.frontend,
            way,
            work: &self.directory,
            words: self.words.clone(),
            out: out.clone(),
        };
        setting.words.push(("@out@", out.display().to_string()));
        setting.words.push(("@name@", name.clone()));
        setting.words.push(("@tag@", super::case::TAG.to_owned()));

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
        if let Some(line) = way.first_line(case.syntax, &self.bench.frontend) {
            known.push((line.trim_end().to_owned(), "@first-line@".to_owned()));
        }
        // A long one may hold a short one.
        known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        known.retain(|(_, word)| word != "@busybox@" && word != "@tag@");
        // What the client sends by itself, an archive from its standard input, has such an address.
        Ok(facts.renamed(&known).anonymous("http://buildkit-session/"))
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

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" / ")
}

/// So that results stay readable.
fn shortened(difference: Difference) -> Difference {
    const LONGEST: usize = 600;
    let short = |text: String| match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text,
    };
    Difference { upstream: difference.upstream.map(short), ours: difference.ours.map(short), ..difference }
}
