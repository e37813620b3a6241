//! The bytes of one file, through cuts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{Receiver, Sender};

use super::meter::{Meter, Progress};
use super::patience::{Patience, heard};
use super::source::{digest, of_file};
use crate::caller::Caller;
use crate::v1::download_artifact_request::Source;
use crate::v1::{ArtifactOwner, ArtifactPath, Blob, Chunk, DownloadArtifactRequest, ErrorReason};
use crate::{Code, Error, Result, random};

/// From which byte on, and how many (0: to the end).
#[derive(Clone, Copy, Default)]
pub(super) struct Range {
    pub offset: u64,
    pub limit: u64,
}

pub(super) struct Fetch {
    caller: Caller,
    source: ArtifactPath,
    range: Range,
    progress: Option<Progress>,
    meter: Option<Meter>,
    blob: Option<Blob>,
    /// Bytes that have come.
    done: u64,
    hash: Sha256,
    patience: Patience,
}

impl Fetch {
    pub fn new(
        caller: Caller,
        owner: ArtifactOwner,
        path: String,
        range: Range,
        progress: Option<Progress>,
    ) -> Self {
        Self {
            caller,
            source: ArtifactPath {
                owner: Some(owner),
                path,
            },
            range,
            progress,
            meter: None,
            blob: None,
            done: 0,
            hash: Sha256::new(),
            patience: Patience::default(),
        }
    }

    /// Hands the bytes over, and then what ended them if it is an error; returns what they are.
    pub async fn run(mut self, sender: Sender<Result<Bytes>>) -> Result<Blob> {
        let fetched = self.fetch(&sender).await;
        if let Err(error) = &fetched {
            let _ = sender.send(Err(error.clone())).await;
        }
        fetched
    }

    async fn fetch(&mut self, sender: &Sender<Result<Bytes>>) -> Result<Blob> {
        loop {
            match self.attempt(sender).await {
                Ok(()) => return self.checked(),
                Err(error) => self.patience.wait(error, false).await?,
            }
        }
    }

    /// One call, from the byte after the last that has come.
    async fn attempt(&mut self, sender: &Sender<Result<Bytes>>) -> Result<()> {
        if self.is_there() {
            return Ok(()); // the last call was cut after the last byte: there is nothing to ask for
        }
        let mut responses = self.caller.stream(self.request()).await?;
        let Some(first) = heard(&mut responses).await? else {
            return Err(self.ended());
        };
        self.began(first.blob.clone().unwrap_or_default())?;
        let mut next = Some(first);
        while let Some(response) = next {
            if let Some(chunk) = response.chunk {
                self.take(chunk, sender).await?;
            }
            next = heard(&mut responses).await?;
        }
        if self.is_there() {
            Ok(())
        } else {
            Err(self.ended())
        }
    }

    fn request(&self) -> DownloadArtifactRequest {
        let left = self.range.limit.saturating_sub(self.done);
        DownloadArtifactRequest {
            source: Some(Source::Artifact(self.source.clone())),
            offset: (self.range.offset + self.done) as i64,
            limit: left as i64,
            ..Default::default()
        }
    }

    /// What the bytes are of. In a later call they must be of the same.
    fn began(&mut self, blob: Blob) -> Result<()> {
        if self.blob.as_ref().is_some_and(|known| *known != blob) {
            let problem = format!("{:?} was changed while it was fetched", self.source.path);
            return Err(Error::new(Code::Aborted, problem));
        }
        self.blob = Some(blob);
        if self.meter.is_none() {
            self.meter = Some(Meter::new(self.progress.take(), self.size()));
        }
        Ok(())
    }

    /// Bytes in all, of those that were asked for.
    fn size(&self) -> u64 {
        let size = self.blob.as_ref().map_or(0, |blob| blob.size_bytes as u64);
        let left = size.saturating_sub(self.range.offset);
        if self.range.limit > 0 {
            left.min(self.range.limit)
        } else {
            left
        }
    }

    fn is_there(&self) -> bool {
        self.blob.is_some() && self.done == self.size()
    }

    async fn take(&mut self, chunk: Chunk, sender: &Sender<Result<Bytes>>) -> Result<()> {
        let data = chunk.data;
        if chunk
            .crc32c
            .is_some_and(|expected| crc32c::crc32c(&data) != expected)
        {
            return Err(
                Error::new(Code::InvalidArgument, "a chunk was damaged on its way")
                    .with_reason(ErrorReason::ChecksumMismatch),
            );
        }
        if self.done + data.len() as u64 > self.size() {
            let problem = format!("{:?} is longer than the server said", self.source.path);
            return Err(Error::new(Code::DataLoss, problem));
        }
        if self.is_whole() {
            self.hash.update(&data);
        }
        self.done += data.len() as u64;
        self.meter
            .iter()
            .for_each(|meter| meter.add(data.len() as u64));
        self.patience.progress();
        let dropped = |_| Error::new(Code::Cancelled, "the download was dropped");
        sender.send(Ok(data)).await.map_err(dropped)
    }

    fn is_whole(&self) -> bool {
        self.range.offset == 0 && self.range.limit == 0
    }

    fn checked(&mut self) -> Result<Blob> {
        let blob = self.blob.clone().unwrap_or_default();
        let actual = digest(std::mem::take(&mut self.hash));
        if self.is_whole() && actual != blob.digest {
            let problem = format!("{:?} arrived with digest {actual}", self.source.path);
            let metadata = [
                ("expected".to_owned(), blob.digest),
                ("actual".to_owned(), actual),
            ];
            return Err(Error::new(Code::InvalidArgument, problem)
                .with_reason(ErrorReason::DigestMismatch)
                .with_metadata(metadata.into()));
        }
        Ok(blob)
    }

    fn ended(&self) -> Error {
        Error::unavailable(format!(
            "the server ended the download of {:?}",
            self.source.path
        ))
    }
}

/// Writes what comes to a file that has not its name yet; blocks.
pub(super) fn write(mut data: Receiver<Result<Bytes>>, local: &Path) -> Result<Part> {
    let failed = |error| of_file(local, error);
    let (part, mut file) = Part::create(local).map_err(failed)?;
    while let Some(bytes) = data.blocking_recv() {
        file.write_all(&bytes?).map_err(failed)?;
    }
    Ok(part)
}

/// A file under a temporary name, which is removed unless it gets its own.
pub(super) struct Part(PathBuf);

impl Part {
    fn create(local: &Path) -> io::Result<(Self, File)> {
        let folder = local
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        // Not made from the name: that may be as long as a name can be.
        let part = Self(folder.join(format!(".runwire-{}.part", random::id())));
        let file = File::create_new(&part.0)?;
        Ok((part, file))
    }

    /// Gives it its name.
    pub fn appear(self, local: &Path) -> Result<()> {
        fs::rename(&self.0, local).map_err(|error| of_file(local, error))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::channel;

    use super::*;

    fn written(parts: Vec<Result<Bytes>>, local: &Path) -> Result<()> {
        let (sender, receiver) = channel(parts.len().max(1));
        parts
            .into_iter()
            .for_each(|part| sender.try_send(part).unwrap());
        drop(sender);
        write(receiver, local)?.appear(local)
    }

    #[test]
    fn file_appears_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("runwire-{}", random::id()));
        let [whole, empty, cut] = ["a/whole", "empty", "cut"].map(|name| folder.join(name));
        written(vec![Ok("ab".into()), Ok("c".into())], &whole).unwrap();
        written(vec![], &empty).unwrap();
        written(vec![Ok("ab".into()), Err(Error::unavailable("cut"))], &cut).unwrap_err();
        assert_eq!(fs::read(&whole).unwrap(), b"abc");
        assert_eq!(fs::read(&empty).unwrap(), b"");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn range_that_was_cut_after_its_last_byte_is_there() {
        let range = Range {
            offset: 0,
            limit: 16,
        };
        let mut fetch = Fetch::new(Caller::away(), "r".into(), "x".into(), range, None);
        let blob = Blob {
            size_bytes: 1000,
            ..Default::default()
        };
        fetch.began(blob).unwrap();
        let (sender, _receiver) = channel(1);
        let chunk = Chunk {
            data: vec![0; 16].into(),
            ..Default::default()
        };
        fetch.take(chunk, &sender).await.unwrap();
        assert_eq!(fetch.attempt(&sender).await, Ok(())); // and nothing is asked of the server
    }
}
