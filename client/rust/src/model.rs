//! Registered models, their versions and aliases.

use crate::caller::Caller;
use crate::pages::Pages;
use crate::run::required;
use crate::v1::{
    CreateModelRequest, CreateModelVersionRequest, GetModelRequest, Model, ModelVersion,
    ResolveModelsRequest, SearchModelVersionsRequest, SetModelAliasRequest, SetModelAliasResponse,
};
use crate::{Result, random};

/// The registry calls of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct Models {
    caller: Caller,
}

impl Models {
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Makes a model without versions. ALREADY_EXISTS.
    pub async fn create(&self, name: &str) -> Result<Model> {
        let request = CreateModelRequest {
            name: name.into(),
            workspace: self.caller.workspace(""),
            request_id: random::id(),
            ..Default::default()
        };
        required(self.caller.call(request).await?.model)
    }

    /// One model. NOT_FOUND.
    pub async fn get(&self, name: &str) -> Result<Model> {
        let request = GetModelRequest {
            name: name.into(),
            workspace: self.caller.workspace(""),
        };
        required(self.caller.call(request).await?.model)
    }

    /// Publishes a version; see [`CreateVersion`].
    pub fn create_version(&self, model: impl Into<String>) -> CreateVersion {
        let request = CreateModelVersionRequest {
            model: model.into(),
            workspace: self.caller.workspace(""),
            request_id: random::id(),
            ..Default::default()
        };
        CreateVersion {
            caller: self.caller.clone(),
            request,
        }
    }

    /// The versions that match, of all models: `model = 'fraud' AND stage = 'production'`.
    pub fn search_versions(&self, filter: impl Into<String>) -> Pages<ModelVersion> {
        let (caller, filter) = (self.caller.clone(), filter.into());
        let workspace = caller.workspace("");
        let request = SearchModelVersionsRequest {
            workspace,
            filter,
            ..Default::default()
        };
        Pages::new(move |page_token| {
            let request = SearchModelVersionsRequest {
                page_token,
                ..request.clone()
            };
            let caller = caller.clone();
            async move {
                let page = caller.call(request).await?;
                Ok((page.model_versions, page.next_page_token))
            }
        })
    }

    /// Points an alias at a version; see [`SetAlias`].
    pub fn set_alias(&self, model: &str, alias: &str, version: i64) -> SetAlias {
        let request = SetModelAliasRequest {
            model: model.into(),
            workspace: self.caller.workspace(""),
            alias: alias.into(),
            version,
            ..Default::default()
        };
        SetAlias {
            caller: self.caller.clone(),
            request,
        }
    }

    /// What a reference means now: `fraud@champion`, `fraud/7`, `fraud/latest`, `fraud/production`.
    /// NOT_FOUND, DELETED.
    pub async fn resolve(&self, reference: &str) -> Result<ModelVersion> {
        let mut resolved = self.resolve_all([reference]).await?;
        resolved.pop().unwrap_or_else(|| required(None))
    }

    /// What each of up to 1,000 references means, all at one moment.
    pub async fn resolve_all<R: Into<String>>(
        &self,
        references: impl IntoIterator<Item = R>,
    ) -> Result<Vec<Result<ModelVersion>>> {
        let request = ResolveModelsRequest {
            references: references.into_iter().map(Into::into).collect(),
            workspace: self.caller.workspace(""),
            ..Default::default()
        };
        let answers = self.caller.call(request).await?.resolved.into_iter();
        let meaning = answers.map(|one| match one.fault {
            Some(fault) => Err(fault.into()),
            None => required(one.model_version),
        });
        Ok(meaning.collect())
    }
}

/// What a new version is to be; [`send`](Self::send) publishes it, once however often it is sent.
#[derive(Debug)]
#[must_use]
pub struct CreateVersion {
    caller: Caller,
    request: CreateModelVersionRequest,
}

impl CreateVersion {
    /// Of the artifacts of this run, all of them or those below a path.
    pub fn from_run(mut self, run_id: impl Into<String>, path: impl Into<String>) -> Self {
        self.request.source_run_id = run_id.into();
        self.request.source_path = path.into();
        self
    }

    /// Of bytes that are kept elsewhere.
    pub fn from_uri(mut self, uri: impl Into<String>) -> Self {
        self.request.source_uri = uri.into();
        self
    }

    /// Moved to the version in the same moment.
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.request.aliases.push(alias.into());
        self
    }

    /// A tag of the version.
    pub fn tag(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.request.tags.insert(key.into(), value.to_string());
        self
    }

    /// For people.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.request.description = description.into();
        self
    }

    /// Why, for the history.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.request.comment = comment.into();
        self
    }

    /// Makes the model too, where it does not exist.
    pub fn create_model(mut self) -> Self {
        self.request.create_model = true;
        self
    }

    /// Publishes it. NOT_FOUND (model, run, path), DELETED (run).
    pub async fn send(self) -> Result<ModelVersion> {
        required(self.caller.call(self.request).await?.model_version)
    }
}

/// The move of an alias; [`send`](Self::send) makes it.
#[derive(Debug)]
#[must_use]
pub struct SetAlias {
    caller: Caller,
    request: SetModelAliasRequest,
}

impl SetAlias {
    /// Only from this version; 0: only where it is not set. Else ALIAS_MOVED, with `version` in the
    /// metadata.
    pub fn expected(mut self, version: i64) -> Self {
        self.request.expected_version = Some(version);
        self
    }

    /// Why, for the history.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.request.comment = comment.into();
        self
    }

    /// Moves it. NOT_FOUND, DELETED, ALIAS_MOVED.
    pub async fn send(self) -> Result<SetModelAliasResponse> {
        self.caller.call(self.request).await
    }
}
