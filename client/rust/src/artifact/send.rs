//! One large blob, through cuts, from the byte that the server has acknowledged.

use std::io::{Read, SeekFrom};

use tokio::sync::mpsc::{Sender, channel};
use tokio::task::spawn_blocking;
use tokio_stream::wrappers::ReceiverStream;

use super::meter::Meter;
use super::patience::{Patience, heard};
use super::source::{Hashed, of_source};
use crate::caller::{Caller, Responses};
use crate::v1::upload_blob_request::{Finish, Message as Ask, Open};
use crate::v1::upload_blob_response::{Message as Told, Opened};
use crate::v1::{Chunk, UploadBlobRequest, UploadBlobResponse};
use crate::{Code, Error, Result};

const PATH: &str = "/runwire.v1.ArtifactService/UploadBlob";
const MAX_CHUNK_BYTES: usize = 1 << 20;
/// Chunks that were read and are not on the wire.
const CHUNKS: usize = 2;

pub(super) async fn put_large(caller: Caller, source: Hashed, meter: Meter) -> Result<()> {
    let mut transfer = Transfer {
        caller,
        source,
        meter,
        counted: 0,
        upload_id: String::new(),
    };
    let mut patience = Patience::default();
    loop {
        let counted = transfer.counted;
        let Err(error) = transfer.attempt().await else {
            return Ok(());
        };
        if transfer.counted > counted {
            patience.progress();
        }
        // Where the server has forgotten it: once more from the start.
        let is_forgotten = error.code() == Code::NotFound && !transfer.upload_id.is_empty();
        if is_forgotten {
            transfer.upload_id.clear();
        }
        patience.wait(error, is_forgotten).await?;
    }
}

struct Transfer {
    caller: Caller,
    source: Hashed,
    meter: Meter,
    /// Bytes that the meter knows of.
    counted: u64,
    /// Empty: none was opened.
    upload_id: String,
}

impl Transfer {
    /// One call of UploadBlob, up to Stored.
    async fn attempt(&mut self) -> Result<()> {
        let (requests, receiver) = channel(CHUNKS);
        let open = Open {
            workspace: self.caller.workspace(""),
            upload_id: self.upload_id.clone(),
            blob: Some(self.source.blob.clone()),
        };
        let _ = requests.try_send(request(Ask::Open(open)));
        let mut responses = self
            .caller
            .bidirectional(PATH, ReceiverStream::new(receiver))
            .await?;
        let Some(opened) = self.opened(&mut responses).await? else {
            return Ok(());
        };
        let source = self.source.clone();
        let reading = spawn_blocking(move || read(&source, opened, &requests));
        while let Some(response) = heard(&mut responses).await?.and_then(|one| one.message) {
            match response {
                Told::Progress(progress) => self.count(progress.committed_size),
                Told::Stored(_) => return self.stored(),
                Told::Opened(_) => {}
            }
        }
        drop(responses); // a reader that waits for room ends with the call
        reading.await.map_err(Error::io)??;
        Err(ended())
    }

    /// Where to send from; None: the server has it all.
    async fn opened(
        &mut self,
        responses: &mut Responses<UploadBlobResponse>,
    ) -> Result<Option<Opened>> {
        match heard(responses).await?.and_then(|one| one.message) {
            Some(Told::Opened(opened)) => {
                self.upload_id = opened.upload_id.clone();
                self.count(opened.committed_size);
                Ok(Some(opened))
            }
            Some(Told::Stored(_)) => self.stored().map(|()| None),
            _ => Err(ended()),
        }
    }

    fn count(&mut self, committed_size: i64) {
        let committed = committed_size as u64;
        if committed > self.counted {
            self.meter.add(committed - self.counted);
            self.counted = committed;
        }
    }

    fn stored(&mut self) -> Result<()> {
        self.count(self.source.blob.size_bytes);
        Ok(())
    }
}

/// Sends chunks from where the server stands, then Finish; blocks. It sends what was hashed, not
/// what a file has grown by since, and ends with the call.
fn read(source: &Hashed, opened: Opened, requests: &Sender<UploadBlobRequest>) -> Result<()> {
    let failed = |error| of_source(&source.source, error);
    let mut content = source.source.open()?;
    content
        .seek(SeekFrom::Start(opened.committed_size as u64))
        .map_err(failed)?;
    let chunk_bytes = (opened.chunk_bytes.max(1) as usize).min(MAX_CHUNK_BYTES);
    let mut offset = opened.committed_size;
    while offset < source.blob.size_bytes {
        let left = (source.blob.size_bytes - offset) as usize;
        let mut data = vec![0; chunk_bytes.min(left)];
        content.read_exact(&mut data).map_err(failed)?;
        let chunk = Chunk {
            offset,
            plain_size: data.len() as i32,
            crc32c: Some(crc32c::crc32c(&data)),
            data: data.into(),
            ..Default::default()
        };
        offset += i64::from(chunk.plain_size);
        if requests.blocking_send(request(Ask::Chunk(chunk))).is_err() {
            return Ok(());
        }
    }
    let finish = Finish {
        blob: Some(source.blob.clone()),
    };
    let _ = requests.blocking_send(request(Ask::Finish(finish)));
    Ok(())
}

fn request(message: Ask) -> UploadBlobRequest {
    UploadBlobRequest {
        message: Some(message),
    }
}

fn ended() -> Error {
    Error::unavailable("the server ended an upload")
}
