//! What is to be sent to a run.

use std::path::PathBuf;

use bytes::Bytes;

use super::Stored;
use super::meter::Progress;
use super::put::{blocking, commit, put};
use super::source::{Hashed, Source, walk};
use crate::Result;
use crate::caller::Caller;

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

    /// Every regular file below a local folder, below a path of the run (empty: at its root). Links to
    /// files are followed, those to folders are not.
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
        if hashed.is_empty() {
            return Ok(Vec::new()); // of empty folders: there is nothing to name
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[tokio::test]
    async fn empty_folder_is_nothing_to_upload() {
        let folder = std::env::temp_dir().join(format!("runwire-{}", random::id()));
        std::fs::create_dir_all(folder.join("empty")).unwrap();
        let upload = Upload::new(Caller::away(), "r".into());
        assert_eq!(upload.folder("top", &folder).send().await, Ok(Vec::new()));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
