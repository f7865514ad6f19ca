//! Our streams and those of a container: named pipes in a directory of ours alone, and a thread for each that copies.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::{Notify, oneshot};

use super::Error;
use crate::engine::containerd::Stdio;

/// The pipes of a container, and who copies them.
pub(super) struct Attached {
    /// What containerd is told.
    pub(super) stdio: Stdio,
    /// Both ends of each pipe out of the container: with them, a pipe is not at its end before containerd has it open.
    keepers: Vec<File>,
    outputs: Vec<oneshot::Receiver<()>>,
    /// Told when one of our streams takes no more.
    unread: Arc<Notify>,
    input: Option<oneshot::Receiver<()>>,
    /// Ours is as it was once this goes.
    _terminal: Option<Raw>,
}

/// A terminal that hands on each key as it is, until this goes.
struct Raw {
    before: Termios,
}

impl Attached {
    /// Makes the pipes and begins to copy.
    ///
    /// # Errors
    /// When they cannot be made, or a terminal is asked for where there is none.
    pub(super) fn new(directory: &Path, is_interactive: bool, tty: bool) -> Result<Self, Error> {
        let refused = || Error::system("make pipes for the container");
        let pipe = |name: &str| -> Result<PathBuf, Error> {
            let path = directory.join(name);
            let made = mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
            made.map_err(|errno| refused()(errno.into())).map(|()| path)
        };
        let stdin = is_interactive.then(|| pipe("stdin")).transpose()?;
        let stdout = Some(pipe("stdout")?);
        let stderr = (!tty).then(|| pipe("stderr")).transpose()?;
        let (mut keepers, mut outputs) = (Vec::new(), Vec::new());
        let unread = Arc::new(Notify::new());
        let streams: [fn() -> Box<dyn Write>; 2] = [|| Box::new(io::stdout()), || Box::new(io::stderr())];
        for (path, stream) in [&stdout, &stderr].into_iter().zip(streams) {
            let Some(path) = path else { continue };
            keepers.push(File::options().read(true).write(true).open(path).map_err(refused())?);
            let from = File::open(path).map_err(refused())?;
            let unread = Arc::clone(&unread);
            outputs.push(on_thread(move || copy_output(from, stream(), &unread)).map_err(refused())?);
        }
        let input = stdin.clone().map(|path| on_thread(move || copy_input(&path)));
        let input = input.transpose().map_err(refused())?;
        let _terminal = if tty && is_interactive { Some(Raw::new()?) } else { None };
        let stdio = Stdio { stdin, stdout, stderr, terminal: tty };
        Ok(Self { stdio, keepers, outputs, unread, input, _terminal })
    }

    /// containerd has the pipes open: from now on they end when it closes them.
    pub(super) fn release(&mut self) {
        self.keepers.clear();
    }

    /// What is told, once, when nobody reads any more what the container writes (`… | head -1`).
    pub(super) fn unread(&self) -> Arc<Notify> {
        Arc::clone(&self.unread)
    }

    /// Until there is no more input for the container. Once.
    pub(super) async fn input_ended(&mut self) {
        match &mut self.input {
            Some(input) => drop(input.await),
            None => std::future::pending().await,
        }
        self.input = None;
    }

    /// Until all that the container wrote is written.
    pub(super) async fn drained(&mut self) {
        self.release();
        // One that is done is not asked again, should this be dropped half-way and begun anew.
        while let Some(output) = self.outputs.last_mut() {
            let _ = output.await;
            self.outputs.pop();
        }
    }

    /// How wide and how high our terminal is, where the container has one.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        let size =
            self.stdio.terminal.then(|| tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stdin())));
        size?.ok().map(|size| (size.ws_col, size.ws_row)).filter(|(columns, _)| *columns > 0)
    }
}

impl Raw {
    fn new() -> Result<Self, Error> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Err(Error::NoTerminal);
        }
        let set_up = |source: rustix::io::Errno| Error::system("set up the terminal")(source.into());
        let before = tcgetattr(stdin.as_fd()).map_err(set_up)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &raw).map_err(set_up)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &self.before);
    }
}

/// Work that blocks, and a message when it is done.
fn on_thread(work: impl FnOnce() + Send + 'static) -> io::Result<oneshot::Receiver<()>> {
    let (done, is_done) = oneshot::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        work();
        // Nobody waits for it any more where a signal ended that.
        let _ = done.send(());
    });
    thread.map(|_| is_done)
}

/// Copies to the end; whether it got there.
fn copy(from: &mut impl io::Read, mut to: impl Write) -> bool {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
            // A terminal is written to piece by piece, so that a prompt is seen.
            Ok(length) if to.write_all(&bytes[..length]).and_then(|()| to.flush()).is_err() => return false,
            Ok(_) => {}
        }
    }
}

/// Copies what a container writes. Where nobody reads it any more, its end is not held up by that.
fn copy_output(mut from: File, to: impl Write, unread: &Notify) {
    if !copy(&mut from, to) {
        unread.notify_one();
        let _ = io::copy(&mut from, &mut io::sink());
    }
}

/// Copies what the container is to read, once containerd has opened the other end.
fn copy_input(path: &Path) {
    if let Ok(to) = File::options().write(true).open(path) {
        copy(&mut io::stdin(), to);
    }
}
