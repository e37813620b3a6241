//! The client: where everything starts.

use std::path::PathBuf;
use std::time::Duration;

use crate::artifact::Artifacts;
use crate::caller::{Caller, Responses};
use crate::connection::Connection;
use crate::headers::headers;
use crate::metric::Metrics;
use crate::model::Models;
use crate::rpc::{Rpc, StreamingRpc};
use crate::run::Runs;
use crate::settings::Settings;
use crate::uri::Target;
use crate::v1::{GetServerInfoRequest, GetServerInfoResponse};
use crate::watcher::WatcherBuilder;
use crate::writer::WriterBuilder;
use crate::{Error, Result, time};

/// A tracking server. Cheap to clone, safe for threads and for several runtimes; nothing is opened
/// before the first call.
///
/// A call ends within the client's timeout (30 s unless told otherwise), all attempts together.
/// Where the API allows it, it is made again while the server is away. Dropping its future cancels it.
///
/// ```no_run
/// # async fn example() -> runwire::Result<()> {
/// let client = runwire::Client::new("http://localhost:5000")?;
/// let run = client.runs().create().experiment_name("nyc-taxi").param("lr", 0.001).send().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    caller: Caller,
}

impl Client {
    /// A client of a server: `grpc://HOST:5001[,HOST:5001]`, `grpcs://…`, or the URL of its web port,
    /// `http(s)://HOST:5000`. Empty: of RUNWIRE_TRACKING_URI. All else comes from the environment,
    /// see [`ClientBuilder`].
    pub fn new(uri: impl Into<String>) -> Result<Self> {
        Self::builder().uri(uri).build()
    }

    /// A client as the environment says.
    pub fn from_env() -> Result<Self> {
        Self::builder().build()
    }

    /// A client with more to say about it.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The same client with another timeout of a call.
    ///
    /// ```no_run
    /// # async fn example(client: runwire::Client) -> runwire::Result<()> {
    /// use std::time::Duration;
    ///
    /// let run = client.with_timeout(Duration::from_secs(1)).runs().get("0123").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            caller: Caller {
                timeout: time::bounded(timeout),
                ..self.caller.clone()
            },
        }
    }

    /// Runs: made, found, changed and ended.
    pub fn runs(&self) -> Runs {
        Runs::new(self.caller.clone())
    }

    /// Metrics that were written. To write, see [`writer`](Self::writer).
    pub fn metrics(&self) -> Metrics {
        Metrics::new(self.caller.clone())
    }

    /// Files of runs and model versions.
    pub fn artifacts(&self) -> Artifacts {
        Artifacts::new(self.caller.clone())
    }

    /// Registered models, their versions and aliases.
    pub fn models(&self) -> Models {
        Models::new(self.caller.clone())
    }

    /// A writer of metrics to a run, from the background.
    pub fn writer(&self, run_id: impl Into<String>) -> WriterBuilder {
        WriterBuilder::new(self.caller.clone(), run_id.into())
    }

    /// Follows what references to models mean: `"fraud@champion"`, `"fraud/production"`.
    pub fn model_watcher<R: Into<String>>(
        &self,
        references: impl IntoIterator<Item = R>,
    ) -> WatcherBuilder {
        let references = references.into_iter().map(Into::into).collect();
        WatcherBuilder::new(self.caller.clone(), references)
    }

    /// Version, features and limits of the server.
    pub async fn server_info(&self) -> Result<GetServerInfoResponse> {
        self.call(GetServerInfoRequest {}).await
    }

    /// Any call of the API with one response, with deadline, retries and typed errors.
    ///
    /// ```no_run
    /// # async fn example(client: runwire::Client) -> runwire::Result<()> {
    /// use runwire::v1::ListModelEventsRequest;
    ///
    /// let request = ListModelEventsRequest { model: "fraud".into(), ..Default::default() };
    /// for event in client.call(request).await?.events {
    ///     println!("{} by {}", event.alias, event.actor);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call<R: Rpc>(&self, request: R) -> Result<R::Response> {
        self.caller.call(request).await
    }

    /// Any call of the API with a stream of responses; without a deadline, and not resumed.
    pub async fn stream<R: StreamingRpc>(&self, request: R) -> Result<Responses<R::Response>> {
        self.caller.stream(request).await
    }

    /// What the generated stubs take.
    pub fn connection(&self) -> Connection {
        self.caller.connection.clone()
    }
}

/// Says what a [`Client`] is to be. What is not said comes from the environment: RUNWIRE_TRACKING_URI,
/// RUNWIRE_TOKEN, RUNWIRE_CA_FILE, RUNWIRE_TIMEOUT_S, RUNWIRE_USER, RUNWIRE_WORKSPACE.
#[derive(Clone, Default)]
#[must_use]
pub struct ClientBuilder {
    uri: String,
    token: Option<String>,
    ca_file: Option<PathBuf>,
    user: Option<String>,
    workspace: Option<String>,
    timeout: Option<Duration>,
}

impl ClientBuilder {
    /// See [`Client::new`].
    pub fn uri(mut self, uri: impl Into<String>) -> Self {
        self.uri = uri.into();
        self
    }

    /// A bearer token, sent with every call.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// A PEM file of the certificate authorities to trust, instead of the system's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Who calls, as the registry notes it. Else the login name.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Where experiments and models are looked for.
    pub fn workspace(mut self, workspace: impl Into<String>) -> Self {
        self.workspace = Some(workspace.into());
        self
    }

    /// How long one call may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The client. INVALID_ARGUMENT for what can never work.
    pub fn build(self) -> Result<Client> {
        let found = Settings::read()?;
        let uri = if self.uri.is_empty() {
            found.tracking_uri
        } else {
            self.uri
        };
        if uri.is_empty() {
            return Err(Error::invalid(
                "tracking_uri",
                "give a URI, or set RUNWIRE_TRACKING_URI",
            ));
        }
        let token = self.token.unwrap_or(found.token);
        let headers = headers(&token, &self.user.unwrap_or(found.user))?;
        let ca_file = self.ca_file.unwrap_or(found.ca_file.into());
        let caller = Caller {
            connection: Connection::new(Target::parse(&uri)?, ca_file, headers),
            timeout: time::bounded(self.timeout.unwrap_or(found.timeout)),
            workspace: self.workspace.unwrap_or(found.workspace),
        };
        Ok(Client { caller })
    }
}

/// Without the token.
impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[tokio::test]
    async fn call_may_be_allowed_all_the_time_there_is() {
        let builder = Client::builder().uri("grpc://127.0.0.1:1");
        let client = builder.timeout(Duration::MAX).build().unwrap();
        for client in [client.with_timeout(Duration::MAX), client] {
            let called = client.caller.call_once(GetServerInfoRequest {}).await;
            assert_eq!(called.unwrap_err().code(), Code::Unavailable);
            let writer = client.writer("r").flush_interval(Duration::MAX).open();
            writer.log_metric("loss", 1.0, 0);
            assert_eq!(writer.error(), None);
        }
    }
}
