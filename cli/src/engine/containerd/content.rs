//! Content: the blobs of images (`content.proto`).

use std::io::Read;

use futures_util::stream;
use prost::Message;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::error::if_there;
use super::types::{Descriptor, Empty, FieldMask, Labels};
use super::{Containerd, Error, LONG, PATIENCE};

/// A piece of a blob on its way.
const PIECE: usize = 1 << 20;

/// `WriteAction`: how far the reference was written before.
const STAT: i32 = 0;
/// `WriteAction`: more bytes.
const WRITE: i32 = 1;
/// `WriteAction`: that was all of them.
const COMMIT: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct ReadBlob {
    #[prost(string, tag = "1")]
    digest: String,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Update {
    #[prost(message, optional, tag = "1")]
    info: Option<Info>,
    #[prost(message, optional, tag = "2")]
    mask: Option<FieldMask>,
}

#[derive(Clone, PartialEq, Message)]
struct Info {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(map = "string, string", tag = "5")]
    labels: Labels,
}

#[derive(Clone, PartialEq, Message)]
struct Write {
    #[prost(int32, tag = "1")]
    action: i32,
    #[prost(string, tag = "2")]
    reference: String,
    #[prost(int64, tag = "3")]
    total: i64,
    #[prost(string, tag = "4")]
    expected: String,
    #[prost(int64, tag = "5")]
    offset: i64,
    #[prost(bytes = "vec", tag = "6")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Written {
    #[prost(int64, tag = "4")]
    offset: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Reference {
    #[prost(string, tag = "1")]
    reference: String,
}

/// Why a blob could not be given to containerd.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// containerd did not take it.
    #[error(transparent)]
    Engine(#[from] Error),
    /// It could not be read.
    #[error("cannot read it")]
    Source(#[source] std::io::Error),
}

impl Containerd {
    /// A blob of at most so many bytes.
    ///
    /// # Errors
    /// When containerd does not have it, or it is longer.
    pub async fn read(&self, digest: &str, limit: usize) -> Result<Vec<u8>, Error> {
        let (method, task) = ("/containerd.services.content.v1.Content/Read", "read a blob");
        let mut pieces: Streaming<Piece> =
            self.stream(method, task, ReadBlob { digest: digest.into() }).await?;
        let mut bytes = Vec::new();
        while let Some(Piece { data }) = self.next(&mut pieces, task).await? {
            bytes.extend_from_slice(&data);
            if bytes.len() > limit {
                return Err(
                    self.failed(task, Status::out_of_range(format!("{digest} is longer than {limit} bytes")))
                );
            }
        }
        Ok(bytes)
    }

    /// Gives a blob this label.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn label_content(&self, digest: &str, key: &str, value: &str) -> Result<(), Error> {
        let method = "/containerd.services.content.v1.Content/Update";
        let labels = Labels::from([(key.to_owned(), value.to_owned())]);
        let asked = Update {
            info: Some(Info { digest: digest.into(), labels }),
            mask: Some(FieldMask { paths: vec![format!("labels.{key}")] }),
        };
        self.call::<_, Empty>(method, "label a blob", PATIENCE, asked).await.map(drop)
    }

    /// Gives containerd a blob, under this reference while it is on its way. One that it has is no error, and belongs to the
    /// lease then too.
    ///
    /// # Errors
    /// When containerd does not take it, say because its digest is another one; or when it cannot be read.
    pub async fn write(
        &self,
        reference: &str,
        blob: &Descriptor,
        mut bytes: impl Read,
    ) -> Result<(), WriteError> {
        let (method, task) = ("/containerd.services.content.v1.Content/Write", "take a blob");
        let message = |action| Write {
            action,
            reference: reference.into(),
            total: blob.size,
            expected: blob.digest.clone(),
            ..Write::default()
        };
        // One at a time: each is answered before the next is read.
        let (sender, mut receiver) = mpsc::channel(1);
        let questions = stream::poll_fn(move |context| receiver.poll_recv(context));
        let gone = |_| self.failed(task, Status::unavailable("it does not listen"));
        sender.send(message(STAT)).await.map_err(gone)?;
        let mut answers: Streaming<Written> = match self.exchange(method, task, questions).await {
            Err(error) if error.is_already_there() => return Ok(()),
            answers => answers?,
        };
        let silent = || self.failed(task, Status::unavailable("it does not answer"));
        // Another namespace may have it: then nothing is left to be sent.
        let Some(Written { mut offset }) = (match self.next(&mut answers, task).await {
            Err(error) if error.is_already_there() => return Ok(()),
            answer => answer?,
        }) else {
            return Err(silent().into());
        };
        let skipped = u64::try_from(offset).unwrap_or(0);
        std::io::copy(&mut (&mut bytes).take(skipped), &mut std::io::sink()).map_err(WriteError::Source)?;
        let mut piece = vec![0; PIECE];
        while offset < blob.size {
            let length = bytes.read(&mut piece).map_err(WriteError::Source)?;
            if length == 0 {
                return Err(WriteError::Source(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let question = Write { offset, data: piece[..length].to_vec(), ..message(WRITE) };
            sender.send(question).await.map_err(gone)?;
            self.next(&mut answers, task).await?.ok_or_else(silent)?;
            offset += i64::try_from(length).unwrap_or(0);
        }
        sender.send(Write { offset, ..message(COMMIT) }).await.map_err(gone)?;
        match self.next(&mut answers, task).await {
            // Somebody else was quicker.
            Err(error) if error.is_already_there() => Ok(()),
            answer => Ok(answer?.map(drop).ok_or_else(silent)?),
        }
    }

    /// Drops what was written of a blob under this reference; nothing there is no error.
    ///
    /// # Errors
    /// When containerd does not do so.
    pub async fn abort(&self, reference: &str) -> Result<(), Error> {
        let method = "/containerd.services.content.v1.Content/Abort";
        let asked = Reference { reference: reference.into() };
        if_there(self.call::<_, Empty>(method, "drop half a blob", LONG, asked).await).map(drop)
    }
}
