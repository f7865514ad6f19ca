//! Engines that this process owns: they end with it, however it ends.
//!
//! - It drops them: stopped right there.
//! - SIGINT, SIGTERM, SIGHUP: a thread stops them, then the signal does what it always does.
//! - It is killed: the kernel asks dockerd to end (`PR_SET_PDEATHSIG`), and the next start removes what is left.

use std::{
    io,
    path::PathBuf,
    process::{Child, Command},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::stop;

/// The directory of a run that is to be stopped, until it is.
type Slot = Arc<Mutex<Option<PathBuf>>>;

static OWNED: Mutex<Vec<Slot>> = Mutex::new(Vec::new());

/// Stops the engine of a directory when it is dropped, or when a signal ends the process.
#[derive(Debug)]
pub(super) struct Owned(Slot);

impl Owned {
    /// # Errors
    /// When signals cannot be listened to.
    pub(super) fn new(dir: PathBuf) -> Result<Owned> {
        listen_to_signals()?;
        let slot = Slot::new(Mutex::new(Some(dir)));
        lock(&OWNED).push(slot.clone());
        Ok(Owned(slot))
    }

    /// Keeps a signal from stopping the engine while something is being made that stopping is to remove.
    ///
    /// # Errors
    /// When a signal has stopped it already.
    pub(super) fn hold(&self) -> Result<impl Drop> {
        let held = lock(&self.0);
        if held.is_none() {
            bail!("interrupted by a signal")
        }
        Ok(held)
    }

    /// Stops the engine now.
    ///
    /// # Errors
    /// As [`stop::stop_run`].
    pub(super) fn stop(&self) -> Result<()> {
        stop_slot(&self.0)
    }

    /// The engine is no longer this process's.
    pub(super) fn release(self) {
        lock(&self.0).take();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("warning: {error:#}");
        }
        lock(&OWNED).retain(|slot| !Arc::ptr_eq(slot, &self.0));
    }
}

/// Whoever comes second waits until the first is done, and then finds nothing to do.
fn stop_slot(slot: &Slot) -> Result<()> {
    match lock(slot).take() {
        Some(dir) => stop::stop_run(&dir),
        None => Ok(()),
    }
}

fn listen_to_signals() -> Result<()> {
    static LISTENING: Mutex<bool> = Mutex::new(false);
    let mut listening = lock(&LISTENING);
    if !*listening {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen to signals")?;
        thread::Builder::new()
            .name("engines-signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    stop_all();
                    // Ends the process; were it to fail, the next signal tries again.
                    let _ = emulate_default_handler(signal);
                }
            })
            .context("cannot start a thread")?;
        *listening = true;
    }
    Ok(())
}

fn stop_all() {
    let slots = lock(&OWNED).clone();
    thread::scope(|scope| {
        for slot in &slots {
            scope.spawn(|| {
                if let Err(error) = stop_slot(slot) {
                    eprintln!("warning: {error:#}");
                }
            });
        }
    });
}

/// Starts `command` from a thread that lives as long as the process: the death signal of a child comes when the thread
/// that made it ends, and tests, for one, run each in a thread of its own.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn spawn_for_life(command: Command) -> Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, incoming) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in incoming {
                // Nobody waits for the answer only if the asking thread is gone.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, answered) = mpsc::channel();
    let program = command.get_program().to_owned();
    lock(spawner).send((command, answer)).context("the thread that starts engines is gone")?;
    let started = answered.recv().context("the thread that starts engines is gone")?;
    started.with_context(|| format!("cannot start {}", program.display()))
}

/// What these locks guard is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
