//! Files of runs and of model versions.

mod fetch;
mod get;
mod meter;
mod patience;
mod put;
mod send;
mod source;
mod upload;

pub use get::{Download, DownloadBytes};
pub use source::Source;
pub use upload::Upload;

use crate::Result;
use crate::caller::Caller;
use crate::pages::Pages;
use crate::v1::artifact_owner::Owner;
use crate::v1::{
    Artifact, ArtifactOwner, DeleteArtifactsRequest, ListArtifactsRequest, ModelVersion,
    ModelVersionKey,
};

/// The artifact calls of a [`Client`](crate::Client). An owner is a run, by its id, or a
/// [`ModelVersion`].
#[derive(Clone, Debug)]
pub struct Artifacts {
    caller: Caller,
}

/// A file as the server has it now.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// In the tree of its owner.
    pub path: String,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
    /// Of the whole file.
    pub size_bytes: u64,
}

impl Artifacts {
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Sends files to a run; see [`Upload`].
    pub fn upload(&self, run_id: impl Into<String>) -> Upload {
        Upload::new(self.caller.clone(), run_id.into())
    }

    /// Fetches a file; see [`Download`].
    pub fn download(&self, owner: impl Into<ArtifactOwner>, path: impl Into<String>) -> Download {
        Download::new(self.caller.clone(), owner.into(), path.into())
    }

    /// The files in a directory (empty: the root), by path; `recursive`: in those below it too.
    pub fn list(
        &self,
        owner: impl Into<ArtifactOwner>,
        prefix: impl Into<String>,
        recursive: bool,
    ) -> Pages<Artifact> {
        let caller = self.caller.clone();
        let (owner, prefix) = (Some(owner.into()), prefix.into());
        let request = ListArtifactsRequest {
            owner,
            prefix,
            recursive,
            ..Default::default()
        };
        Pages::new(move |page_token| {
            let request = ListArtifactsRequest {
                page_token,
                ..request.clone()
            };
            let caller = caller.clone();
            async move {
                let page = caller.call(request).await?;
                Ok((page.artifacts, page.next_page_token))
            }
        })
    }

    /// Takes files out of a run; a directory takes what is under it. Returns how many went.
    pub async fn delete<P: Into<String>>(
        &self,
        run_id: &str,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<u64> {
        let paths = paths.into_iter().map(Into::into).collect();
        let request = DeleteArtifactsRequest {
            owner: Some(run_id.into()),
            paths,
        };
        Ok(self.caller.call(request).await?.files as u64)
    }
}

/// A run, by its id.
impl From<&str> for ArtifactOwner {
    fn from(run_id: &str) -> Self {
        Self {
            owner: Some(Owner::RunId(run_id.into())),
        }
    }
}

/// A run, by its id.
impl From<&String> for ArtifactOwner {
    fn from(run_id: &String) -> Self {
        run_id.as_str().into()
    }
}

impl From<&ModelVersion> for ArtifactOwner {
    fn from(version: &ModelVersion) -> Self {
        let key = ModelVersionKey {
            model: version.model.clone(),
            version: version.version,
            workspace: version.workspace.clone(),
        };
        Self {
            owner: Some(Owner::ModelVersion(key)),
        }
    }
}
