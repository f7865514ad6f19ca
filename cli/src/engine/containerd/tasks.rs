//! Tasks: what runs in a container. Each has its container's id (`tasks.proto`, `task.proto`).

use std::path::PathBuf;

use prost::Message;

use super::error::if_there;
use super::types::{Empty, Mount};
use super::{Containerd, Error, LONG, PATIENCE};

/// The named pipes of a task. What is none is `/dev/null`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stdio {
    /// What it reads.
    pub stdin: Option<PathBuf>,
    /// What it writes.
    pub stdout: Option<PathBuf>,
    /// What it writes of errors; none with a terminal.
    pub stderr: Option<PathBuf>,
    /// Whether it gets a terminal.
    pub terminal: bool,
}

/// How far a task got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// It is there, and its program does not run yet.
    Created,
    /// It runs, as far as containerd knows.
    Alive,
    /// It has ended with this code, and is not deleted.
    Ended(u32),
}

/// `containerd.v1.types.Status`: made, and not started.
const CREATED: i32 = 1;
/// `containerd.v1.types.Status`: ended.
const STOPPED: i32 = 3;

#[derive(Clone, PartialEq, Message)]
struct Create {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, repeated, tag = "3")]
    rootfs: Vec<Mount>,
    #[prost(string, tag = "4")]
    stdin: String,
    #[prost(string, tag = "5")]
    stdout: String,
    #[prost(string, tag = "6")]
    stderr: String,
    #[prost(bool, tag = "7")]
    terminal: bool,
}

/// What most methods are asked.
#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct Got {
    #[prost(message, optional, tag = "1")]
    process: Option<Process>,
}

#[derive(Clone, PartialEq, Message)]
struct Process {
    #[prost(int32, tag = "4")]
    status: i32,
    #[prost(uint32, tag = "9")]
    exit_status: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Kill {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(uint32, tag = "3")]
    signal: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Waited {
    #[prost(uint32, tag = "1")]
    exit_status: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Resize {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(uint32, tag = "3")]
    width: u32,
    #[prost(uint32, tag = "4")]
    height: u32,
}

#[derive(Clone, PartialEq, Message)]
struct CloseIo {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bool, tag = "3")]
    stdin: bool,
}

impl Containerd {
    /// Makes the task of a container, with these mounts for its root. Its program does not run yet.
    ///
    /// # Errors
    /// When containerd or the runtime does not do so, say because there is no such program.
    pub async fn create_task(&self, id: &str, rootfs: Vec<Mount>, stdio: &Stdio) -> Result<(), Error> {
        let path =
            |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let Stdio { stdin, stdout, stderr, terminal } = stdio;
        let asked = Create {
            id: id.into(),
            rootfs,
            stdin: path(stdin),
            stdout: path(stdout),
            stderr: path(stderr),
            terminal: *terminal,
        };
        let method = "/containerd.services.tasks.v1.Tasks/Create";
        // The answer has only the pid.
        self.call::<_, Empty>(method, "make a task", LONG, asked).await.map(drop)
    }

    /// Lets a task's program run.
    ///
    /// # Errors
    /// When containerd or the runtime does not do so.
    pub async fn start_task(&self, id: &str) -> Result<(), Error> {
        let method = "/containerd.services.tasks.v1.Tasks/Start";
        self.call::<_, Empty>(method, "start a task", LONG, Id { id: id.into() }).await.map(drop)
    }

    /// How far a container's task got; none where there is none.
    ///
    /// # Errors
    /// When containerd does not say in time.
    pub async fn task(&self, id: &str) -> Result<Option<Task>, Error> {
        let method = "/containerd.services.tasks.v1.Tasks/Get";
        let asked = Id { id: id.into() };
        let found: Option<Got> = if_there(self.call(method, "look at a task", PATIENCE, asked).await)?;
        Ok(found.and_then(|found| found.process).map(|process| match process.status {
            CREATED => Task::Created,
            STOPPED => Task::Ended(process.exit_status),
            _ => Task::Alive,
        }))
    }

    /// Signals a task's first process; one that is gone is no error.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn kill_task(&self, id: &str, signal: u32) -> Result<(), Error> {
        let method = "/containerd.services.tasks.v1.Tasks/Kill";
        let asked = Kill { id: id.into(), signal };
        if_there(self.call::<_, Empty>(method, "signal a task", PATIENCE, asked).await).map(drop)
    }

    /// Waits until a task has ended, however long that takes, and gives its exit code.
    ///
    /// # Errors
    /// When containerd, or what it has beside the task, ends first.
    pub async fn wait_task(&self, id: &str) -> Result<u32, Error> {
        let method = "/containerd.services.tasks.v1.Tasks/Wait";
        let Waited { exit_status } = self.ask(method, "wait for a task", Id { id: id.into() }).await?;
        Ok(exit_status)
    }

    /// Deletes a task that has ended; one that is gone is no error.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn delete_task(&self, id: &str) -> Result<(), Error> {
        let method = "/containerd.services.tasks.v1.Tasks/Delete";
        if_there(self.call::<_, Empty>(method, "delete a task", LONG, Id { id: id.into() }).await).map(drop)
    }

    /// Tells a task how large its terminal is.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn resize(&self, id: &str, width: u16, height: u16) -> Result<(), Error> {
        let method = "/containerd.services.tasks.v1.Tasks/ResizePty";
        let asked = Resize { id: id.into(), width: width.into(), height: height.into() };
        self.call::<_, Empty>(method, "resize a terminal", PATIENCE, asked).await.map(drop)
    }

    /// Tells a task that nothing more comes on its standard input.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn close_input(&self, id: &str) -> Result<(), Error> {
        let method = "/containerd.services.tasks.v1.Tasks/CloseIO";
        let asked = CloseIo { id: id.into(), stdin: true };
        if_there(self.call::<_, Empty>(method, "close a task's input", PATIENCE, asked).await).map(drop)
    }
}
