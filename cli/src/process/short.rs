//! A short question to another program, which may hang.

use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// What the program prints on its standard output within this time; an error where it fails, hangs or is not there.
pub(crate) fn answer(command: &mut Command, limit: Duration) -> io::Result<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (sender, receiver) = channel();
    if let Some(mut stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.read_to_string(&mut text).map(|_| text);
            // Nobody listens any more when it took too long.
            let _ = sender.send(read);
        });
    }
    let Ok(text) = receiver.recv_timeout(limit) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(io::ErrorKind::TimedOut.into());
    };
    let status = child.wait()?;
    if status.success() { text } else { Err(io::Error::other(format!("it fails: {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_answers_fails_hangs_or_is_not_there() {
        let sh = |script: &str, limit| answer(Command::new("sh").args(["-c", script]), limit);
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo yes", long).unwrap(), "yes\n");
        assert!(sh("echo no; exit 3", long).is_err());
        let hangs = sh("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert_eq!(hangs.kind(), io::ErrorKind::TimedOut);
        let missing = answer(&mut Command::new("/nowhere/at/all"), long).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
