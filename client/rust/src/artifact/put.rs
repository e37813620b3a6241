//! Sending files: hash, ask what is missing, send that, and only then name it.

use std::collections::HashMap;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::task::{JoinSet, spawn_blocking};

use super::meter::{Meter, Progress};
use super::patience::Patience;
use super::source::{Hashed, Source, walk};
use super::{Stored, send};
use crate::caller::Caller;
use crate::v1::batch_put_blobs_request::Item;
use crate::v1::{
    Artifact, BatchPutBlobsRequest, Blob, CommitArtifactsRequest, CommitArtifactsResponse,
    FindMissingBlobsRequest,
};
use crate::{Error, Result, random};

const PARALLEL: usize = 4;
/// Files up to here go many in a message, larger ones as streams of their own.
const SMALL_BYTES: i64 = 256 << 10;
const BATCH_BYTES: i64 = 1 << 20;
const BATCH_FILES: usize = 500;
const ASK_AT_ONCE: usize = 5000;
const COMMIT_AT_ONCE: usize = 2000;
const COMMIT: &str = "/runwire.v1.ArtifactService/CommitArtifacts";

/// Files for a run; [`send`](Self::send) stores them.
///
/// Bytes that the server has are not sent. A cut is mended from the last acknowledged byte, for as
/// long as there is progress; memory does not grow with the size of files. The paths appear together,
/// when all bytes are stored.
///
/// ```no_run
/// # async fn example(client: runwire::Client) -> runwire::Result<()> {
/// let stored = client
///     .artifacts()
///     .upload("0123")
///     .file("models/model.bin", "/tmp/model.bin")
///     .bytes("notes.txt", "trained on a Monday")
///     .progress(|done, total| println!("{done} of {total} bytes"))
///     .send()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Upload {
    caller: Caller,
    run_id: String,
    sources: Vec<(String, Source)>,
    folders: Vec<(String, PathBuf)>,
    progress: Option<Progress>,
}

impl Upload {
    pub(crate) fn new(caller: Caller, run_id: String) -> Self {
        Self {
            caller,
            run_id,
            sources: Vec::new(),
            folders: Vec::new(),
            progress: None,
        }
    }

    /// A local file, at a path of the run.
    pub fn file(self, path: impl Into<String>, local: impl Into<PathBuf>) -> Self {
        self.source(path, Source::File(local.into()))
    }

    /// Bytes in memory, at a path of the run.
    pub fn bytes(self, path: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.source(path, Source::Bytes(data.into()))
    }

    /// Every file below a local folder, below a path of the run (empty: at its root).
    pub fn folder(mut self, path: impl Into<String>, local: impl Into<PathBuf>) -> Self {
        self.folders.push((path.into(), local.into()));
        self
    }

    /// Anything that can be sent.
    pub fn source(mut self, path: impl Into<String>, source: Source) -> Self {
        self.sources.push((path.into(), source));
        self
    }

    /// Is told (bytes done, bytes in all) from time to time, first with 0. Each content counts once.
    pub fn progress(mut self, progress: impl FnMut(u64, u64) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Stores them, and says what is stored. NOT_FOUND or DELETED (the run), FIELD_INVALID (a path);
    /// UNKNOWN where a file cannot be read.
    pub async fn send(self) -> Result<Vec<Stored>> {
        let Self {
            caller,
            run_id,
            sources,
            folders,
            progress,
        } = self;
        let hashed = blocking(move || hash(sources, folders)).await?;
        put(&caller, &hashed, progress).await?;
        commit(&caller, &run_id, &hashed).await?;
        let stored = hashed.into_iter().map(|one| Stored {
            path: one.path,
            digest: one.blob.digest,
            size_bytes: one.blob.size_bytes as u64,
        });
        Ok(stored.collect())
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::io(error)))
}

fn hash(sources: Vec<(String, Source)>, folders: Vec<(String, PathBuf)>) -> Result<Vec<Hashed>> {
    let mut sources = sources;
    for (path, folder) in folders {
        let found = walk(&folder, &path)?.into_iter();
        sources.extend(found.map(|(path, local)| (path, Source::File(local))));
    }
    sources
        .into_iter()
        .map(|(path, source)| Hashed::new(path, source))
        .collect()
}

/// Sends the bytes that the server lacks, several transfers at a time.
async fn put(caller: &Caller, hashed: &[Hashed], progress: Option<Progress>) -> Result<()> {
    let by_digest: HashMap<_, _> = hashed.iter().map(|one| (&one.blob.digest, one)).collect();
    let total: i64 = by_digest.values().map(|one| one.blob.size_bytes).sum();
    let meter = Meter::new(progress, total as u64);
    let blobs: Vec<Blob> = by_digest.values().map(|one| one.blob.clone()).collect();
    let missing = missing(caller, &blobs).await?;
    let there = total - missing.iter().map(|blob| blob.size_bytes).sum::<i64>();
    meter.add(there as u64);
    let missing = missing
        .iter()
        .filter_map(|blob| by_digest.get(&blob.digest));
    let (small, large): (Vec<Hashed>, Vec<Hashed>) = missing
        .map(|one| (*one).clone())
        .partition(|one| one.blob.size_bytes <= SMALL_BYTES);
    let mut transfers = JoinSet::new();
    for batch in batches(small) {
        next(&mut transfers).await?;
        transfers.spawn(put_batch(caller.clone(), batch, meter.clone()));
    }
    for one in large {
        next(&mut transfers).await?;
        transfers.spawn(send::put_large(caller.clone(), one, meter.clone()));
    }
    while let Some(ended) = transfers.join_next().await {
        ended.map_err(Error::io)??;
    }
    Ok(())
}

/// Waits until another transfer may begin; the first failure ends the others.
async fn next(transfers: &mut JoinSet<Result<()>>) -> Result<()> {
    while transfers.len() >= PARALLEL {
        if let Some(ended) = transfers.join_next().await {
            ended.map_err(Error::io)??;
        }
    }
    Ok(())
}

async fn missing(caller: &Caller, blobs: &[Blob]) -> Result<Vec<Blob>> {
    let mut missing = Vec::new();
    for asked in blobs.chunks(ASK_AT_ONCE) {
        let request = FindMissingBlobsRequest {
            workspace: caller.workspace(""),
            blobs: asked.to_vec(),
        };
        missing.extend(caller.call(request).await?.missing);
    }
    Ok(missing)
}

/// Lists of small files that fit a message.
fn batches(small: Vec<Hashed>) -> Vec<Vec<Hashed>> {
    let mut batches: Vec<Vec<Hashed>> = Vec::new();
    let mut size_bytes = BATCH_BYTES;
    for one in small {
        let is_full = batches
            .last()
            .is_none_or(|batch| batch.len() == BATCH_FILES);
        if is_full || size_bytes + one.blob.size_bytes > BATCH_BYTES {
            batches.push(Vec::new());
            size_bytes = 0;
        }
        size_bytes += one.blob.size_bytes;
        batches.last_mut().expect("one was pushed").push(one);
    }
    batches
}

async fn put_batch(caller: Caller, batch: Vec<Hashed>, meter: Meter) -> Result<()> {
    let size_bytes: i64 = batch.iter().map(|one| one.blob.size_bytes).sum();
    let items = blocking(move || {
        let item = |one: &Hashed| {
            Ok(Item {
                blob: Some(one.blob.clone()),
                data: one.read()?,
            })
        };
        batch.iter().map(item).collect::<Result<Vec<_>>>()
    });
    let request = BatchPutBlobsRequest {
        workspace: caller.workspace(""),
        items: items.await?,
    };
    for result in caller.call(request).await?.results {
        if let Some(fault) = result.fault {
            return Err(fault.into());
        }
    }
    meter.add(size_bytes as u64);
    Ok(())
}

/// Names what is stored. It may be repeated: that leads to the same tree.
async fn commit(caller: &Caller, run_id: &str, hashed: &[Hashed]) -> Result<()> {
    let artifacts: Vec<Artifact> = hashed.iter().map(Hashed::artifact).collect();
    let mut requests: Vec<_> = artifacts
        .chunks(COMMIT_AT_ONCE)
        .map(|part| CommitArtifactsRequest {
            artifacts: part.to_vec(),
            ..Default::default()
        })
        .collect();
    if let Some(first) = requests.first_mut() {
        first.owner = Some(run_id.into());
        first.request_id = random::id();
    }
    let mut patience = Patience::default();
    loop {
        let stream = tokio_stream::iter(requests.clone());
        match caller.client_streaming(COMMIT, stream).await {
            Ok(CommitArtifactsResponse { .. }) => return Ok(()),
            Err(error) => patience.wait(error, false).await?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size_bytes: i64) -> Hashed {
        let blob = Blob {
            size_bytes,
            ..Default::default()
        };
        Hashed {
            path: String::new(),
            source: Source::Bytes(Bytes::new()),
            blob,
        }
    }

    #[test]
    fn small_files_share_messages_that_are_not_too_large() {
        let sizes = [SMALL_BYTES; 9].into_iter().chain([0; 1200]);
        let batches = batches(sizes.map(file).collect());
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 1209);
        for batch in &batches {
            assert!(batch.len() <= BATCH_FILES);
            assert!(batch.iter().map(|one| one.blob.size_bytes).sum::<i64>() <= BATCH_BYTES);
        }
    }
}
