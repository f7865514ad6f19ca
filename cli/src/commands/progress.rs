//! How far blobs are, for people: bars on a terminal, else a line now and then.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::size::shown;
use crate::image::Digest;
use crate::registry::{Event, Watch};

/// Without a terminal there is a line this often.
const NOW_AND_THEN: Duration = Duration::from_secs(10);

/// What is shown of everything on its way.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    bars: MultiProgress,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    blobs: HashMap<Digest, Blob>,
    bytes: u64,
    last_line: Instant,
    bytes_then: u64,
    said: HashSet<String>,
}

#[derive(Debug)]
struct Blob {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new() -> Self {
        let state = State {
            blobs: HashMap::new(),
            bytes: 0,
            last_line: Instant::now(),
            bytes_then: 0,
            said: HashSet::new(),
        };
        Self { bars: MultiProgress::new(), state: Arc::new(Mutex::new(state)) }
    }

    /// A line above the bars.
    pub(super) fn line(&self, line: &str) {
        self.bars.suspend(|| anstream::eprintln!("{line}"));
    }

    /// Who is to be told of what happens.
    pub(super) fn watch(&self) -> Watch {
        let progress = self.clone();
        Watch::new(move |event| progress.tell(event))
    }

    fn tell(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Failed(tried) => {
                let line = format!("{}: {}: {}", tried.source, tried.what, tried.failure);
                // What is said once is not said with each repetition.
                let is_new = state.said.insert(line.clone());
                drop(state);
                if is_new {
                    self.line(&line);
                }
            }
            Event::Began(digest, size) => {
                let bar = self.bars.add(ProgressBar::new(size).with_style(style()));
                bar.set_message(digest.hex()[..12].to_owned());
                state.blobs.insert(digest.clone(), Blob { bar });
            }
            Event::Has(digest, bytes) => {
                if let Some(blob) = state.blobs.get(digest) {
                    blob.bar.set_position(bytes);
                }
            }
            Event::Bytes(digest, bytes) => {
                state.bytes += bytes;
                if let Some(blob) = state.blobs.get(digest) {
                    blob.bar.inc(bytes);
                }
                if self.bars.is_hidden() {
                    state.line_now_and_then();
                }
            }
            Event::Done(digest, _) => {
                if let Some(blob) = state.blobs.remove(digest) {
                    blob.bar.finish_and_clear();
                }
            }
        }
    }

    /// How many bytes came.
    pub(super) fn bytes(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl State {
    fn line_now_and_then(&mut self) {
        let passed = self.last_line.elapsed();
        if passed < NOW_AND_THEN {
            return;
        }
        let since = self.bytes - self.bytes_then;
        let rate = u128::from(since) * 1000 / passed.as_millis().max(1);
        let rate = shown(u64::try_from(rate).unwrap_or(u64::MAX));
        anstream::eprintln!("{} so far, {rate}/s, {} on their way", shown(self.bytes), self.blobs.len());
        (self.last_line, self.bytes_then) = (Instant::now(), self.bytes);
    }
}

fn style() -> ProgressStyle {
    let bar = "{msg} {wide_bar} {binary_bytes:>10} of {binary_total_bytes:>10} {binary_bytes_per_sec:>12}";
    ProgressStyle::with_template(bar).unwrap_or_else(|_| ProgressStyle::default_bar())
}
