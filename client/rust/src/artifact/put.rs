//! Sending files: hash, ask what is missing, send that, and only then name it.

use std::collections::HashMap;

use tokio::task::{JoinSet, spawn_blocking};

use super::meter::{Meter, Progress};
use super::patience::Patience;
use super::send;
use super::source::Hashed;
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

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::io(error)))
}

/// Sends the bytes that the server lacks, several transfers at a time.
pub(super) async fn put(
    caller: &Caller,
    hashed: &[Hashed],
    progress: Option<Progress>,
) -> Result<()> {
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
pub(super) async fn commit(caller: &Caller, run_id: &str, hashed: &[Hashed]) -> Result<()> {
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
    use bytes::Bytes;

    use super::super::source::Source;
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
