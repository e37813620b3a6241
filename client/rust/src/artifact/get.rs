//! Fetching files: every byte is checked before a file appears under its name.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use super::fetch::{Fetch, Range};
use super::meter::Progress;
use super::put::blocking;
use super::{Stored, fetch};
use crate::caller::Caller;
use crate::pages::try_next;
use crate::v1::{ArtifactOwner, Blob};
use crate::{Error, Result, background};

/// Chunks that have come and were not taken.
const CHUNKS: usize = 4;

/// A file to fetch: [`to_file`](Self::to_file), [`bytes`](Self::bytes) or [`stream`](Self::stream).
///
/// A cut is mended from the next byte, for as long as there is progress; the digest of the whole
/// file is checked.
///
/// ```no_run
/// # async fn example(client: runwire::Client) -> runwire::Result<()> {
/// let artifacts = client.artifacts();
/// artifacts.download("0123", "models/model.bin").to_file("/tmp/model.bin").await?;
/// let header = artifacts.download("0123", "models/model.bin").range(0, 16).bytes().await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Download {
    caller: Caller,
    owner: ArtifactOwner,
    path: String,
    range: Range,
    progress: Option<Progress>,
}

impl Download {
    pub(crate) fn new(caller: Caller, owner: ArtifactOwner, path: String) -> Self {
        Self {
            caller,
            owner,
            path,
            range: Range::default(),
            progress: None,
        }
    }

    /// Only so many bytes from an offset on (0: to the end). Their digest cannot be checked.
    pub fn range(mut self, offset: u64, limit: u64) -> Self {
        self.range = Range { offset, limit };
        self
    }

    /// Is told (bytes done, bytes in all) from time to time, first with 0.
    pub fn progress(mut self, progress: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Writes it to a file, which appears under its name when it is whole and right, or not at all.
    /// NOT_FOUND, FIELD_INVALID (an offset past the end), DIGEST_MISMATCH; UNKNOWN where the file
    /// cannot be written.
    pub async fn to_file(self, local: impl AsRef<Path>) -> Result<Stored> {
        let local: PathBuf = local.as_ref().into();
        let path = self.path.clone();
        let (mut fetching, receiver) = self.start();
        let target = local.clone();
        // A target that cannot be written ends the fetching, whose error would only be of that.
        let written = blocking(move || fetch::write(receiver, &target)).await?;
        let fetched = fetching
            .join_next()
            .await
            .unwrap_or_else(|| Ok(Err(ended())));
        let blob = fetched.map_err(Error::io)??;
        written.appear(&local)?;
        Ok(Stored {
            path,
            digest: blob.digest,
            size_bytes: blob.size_bytes as u64,
        })
    }

    /// All of it in memory.
    pub async fn bytes(self) -> Result<Bytes> {
        let mut stream = self.stream();
        let mut parts = VecDeque::new();
        while let Some(part) = stream.try_next().await? {
            parts.push_back(part);
        }
        if parts.len() == 1 {
            return Ok(parts.pop_front().unwrap_or_default());
        }
        Ok(parts.into_iter().collect::<Vec<_>>().concat().into())
    }

    /// The bytes as they come. A digest that is not right is an error at the end of them.
    pub fn stream(self) -> DownloadBytes {
        let (fetching, receiver) = self.start();
        DownloadBytes {
            _fetching: fetching,
            bytes: ReceiverStream::new(receiver),
        }
    }

    /// The task ends with what is returned.
    fn start(self) -> (JoinSet<Result<Blob>>, Receiver<Result<Bytes>>) {
        let (sender, receiver) = channel(CHUNKS);
        let Self {
            caller,
            owner,
            path,
            range,
            progress,
        } = self;
        let fetch = Fetch::new(caller, owner, path, range, progress);
        let mut fetching = JoinSet::new();
        // Hashing is work, which is better done where the caller has its threads.
        let here = Handle::try_current().unwrap_or_else(|_| background::handle().clone());
        fetching.spawn_on(fetch.run(sender), &here);
        (fetching, receiver)
    }
}

fn ended() -> Error {
    Error::unavailable("a download was ended")
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The bytes of a file as they come. Dropping it ends the download.
#[derive(Debug)]
pub struct DownloadBytes {
    _fetching: JoinSet<Result<Blob>>,
    bytes: ReceiverStream<Result<Bytes>>,
}

impl DownloadBytes {
    /// The next ones; None after the last.
    pub async fn try_next(&mut self) -> Result<Option<Bytes>> {
        try_next(self).await
    }
}

impl Stream for DownloadBytes {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.bytes).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, random};

    #[tokio::test]
    async fn target_that_cannot_be_written_is_told_as_that() {
        let file = std::env::temp_dir().join(format!("runwire-{}", random::id()));
        std::fs::write(&file, "").unwrap();
        let download = Download::new(Caller::away(), "r".into(), "x".into());
        let error = download.to_file(file.join("x")).await.unwrap_err();
        assert_eq!(error.code(), Code::Unknown, "{error}");
        std::fs::remove_file(file).unwrap();
    }
}
