//! From a tracking URI to servers: what the stubs send through.

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tonic::TimeoutExpired;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::transport::{Channel, Endpoint};

use crate::discover::discover;
use crate::status::{cause, deadline_exceeded};
use crate::uri::Target;
use crate::{Error, Result, background};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
/// A server that did not answer is passed over for so long, where there are others.
const MISTRUST: Duration = Duration::from_secs(1);

/// The way to the servers of a client; cheap to clone.
///
/// It is what the generated stubs take. Calls go round robin over the servers, with the metadata of
/// the client; nothing is opened before the first one.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use runwire::v1::{GetServerInfoRequest, server_service_client::ServerServiceClient};
///
/// let client = runwire::Client::new("grpc://localhost:5001")?;
/// let mut stub = ServerServiceClient::new(client.connection());
/// let answer = stub.get_server_info(GetServerInfoRequest {}).await?;
/// println!("{}", answer.into_inner().version);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    ca_file: PathBuf,
    headers: HeaderMap,
    servers: OnceCell<Vec<Server>>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Server {
    channel: Channel,
    failed: Mutex<Option<Instant>>,
}

impl Connection {
    pub(crate) fn new(target: Target, ca_file: PathBuf, headers: HeaderMap) -> Self {
        let (servers, next) = (OnceCell::new(), AtomicUsize::new(0));
        Self(Arc::new(Inner {
            target,
            ca_file,
            headers,
            servers,
            next,
        }))
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let connection = self.0.clone();
        Box::pin(async move { connection.send(request).await })
    }
}

impl Inner {
    async fn send(self: Arc<Self>, mut request: Request<Body>) -> Result<Response<Body>> {
        let server = self.clone();
        let servers = server
            .servers
            .get_or_try_init(|| open(self.clone()))
            .await?;
        request.headers_mut().extend(self.headers.clone());
        let server = self.choose(servers);
        let mut channel = server.channel.clone();
        let sent = match poll_fn(|context| channel.poll_ready(context)).await {
            Ok(()) => channel.call(request).await,
            Err(error) => Err(error),
        };
        server.note(sent.is_err());
        sent.map_err(|error| match cause::<TimeoutExpired>(&error) {
            Some(_) => deadline_exceeded(),
            None => self.away(&error),
        })
    }

    /// The next one that has not just failed; where all have, the next one.
    fn choose<'a>(&self, servers: &'a [Server]) -> &'a Server {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let place = |turn: usize| &servers[first.wrapping_add(turn) % servers.len()];
        (0..servers.len())
            .map(place)
            .find(|server| !server.is_mistrusted())
            .unwrap_or(place(0))
    }

    fn away(&self, error: &dyn std::error::Error) -> Error {
        let mut cause = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Error::unavailable(format!(
            "no Runwire server answers at {} ({cause}). Is it running, is this its gRPC port (5001 unless told \
             otherwise) or its web address (http://HOST:5000), and does a firewall or proxy stand between?",
            self.shown()
        ))
    }

    fn shown(&self) -> String {
        match &self.target {
            Target::Web(url) => url.clone(),
            Target::Grpc { endpoints, secure } => {
                format!(
                    "grpc{}://{}",
                    if *secure { "s" } else { "" },
                    endpoints.join(",")
                )
            }
        }
    }
}

impl Server {
    fn note(&self, failed: bool) {
        let mut last = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *last = failed.then(Instant::now);
    }

    fn is_mistrusted(&self) -> bool {
        let last = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < MISTRUST)
    }
}

/// On the thread of this crate, where the channels then live.
async fn open(inner: Arc<Inner>) -> Result<Vec<Server>> {
    let opened = background::handle().spawn(async move {
        let (endpoints, secure) = match &inner.target {
            Target::Grpc { endpoints, secure } => (endpoints.clone(), *secure),
            Target::Web(url) => (
                vec![discover(url, &inner.ca_file).await?],
                url.starts_with("https:"),
            ),
        };
        // Addresses have no name of their own: that of the first server is on all certificates.
        let name = endpoints[0].clone();
        endpoints
            .iter()
            .map(|endpoint| inner.server(endpoint, &name, secure))
            .collect()
    });
    opened
        .await
        .map_err(|error| Error::unavailable(error.to_string()))?
}

impl Inner {
    fn server(&self, endpoint: &str, name: &str, secure: bool) -> Result<Server> {
        let scheme = if secure { "https" } else { "http" };
        let uri = |authority: &str| {
            let uri = format!("{scheme}://{authority}").parse();
            uri.map_err(|error| Error::invalid("tracking_uri", error))
        };
        let endpoint = Endpoint::from(uri(endpoint)?)
            .origin(uri(name)?)
            .user_agent(concat!("runwire-rust/", env!("CARGO_PKG_VERSION")))
            .map_err(Error::io)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1);
        let endpoint = if secure {
            self.with_tls(endpoint, name)?
        } else {
            endpoint
        };
        Ok(Server {
            channel: endpoint.connect_lazy(),
            failed: Mutex::new(None),
        })
    }

    #[cfg(feature = "_tls")]
    fn with_tls(&self, endpoint: Endpoint, name: &str) -> Result<Endpoint> {
        let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
        let config = crate::tls::grpc(&self.ca_file, host)?;
        endpoint
            .tls_config(config)
            .map_err(|error| Error::invalid("tls", format!("{error:?}")))
    }

    #[cfg(not(feature = "_tls"))]
    fn with_tls(&self, _: Endpoint, _: &str) -> Result<Endpoint> {
        Err(no_tls())
    }
}

#[cfg(not(feature = "_tls"))]
pub(crate) fn no_tls() -> Error {
    Error::invalid(
        "tracking_uri",
        "this program was built without a tls feature of the crate runwire",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_go_round_and_past_a_server_that_failed() {
        let server = || Server {
            channel: Channel::from_static("http://localhost:1").connect_lazy(),
            failed: Mutex::new(None),
        };
        let servers = [server(), server(), server()];
        let target = Target::parse("grpc://a,b,c").unwrap();
        let connection = Connection::new(target, PathBuf::new(), HeaderMap::new());
        let chosen = || {
            let server = connection.0.choose(&servers);
            servers
                .iter()
                .position(|one| std::ptr::eq(one, server))
                .unwrap()
        };
        assert_eq!([chosen(), chosen(), chosen(), chosen()], [0, 1, 2, 0]);
        let fail = |server: &Server| {
            let later = Instant::now() + Duration::from_secs(3600); // than this test ends
            *server.failed.lock().unwrap() = Some(later);
        };
        fail(&servers[1]);
        assert_eq!([chosen(), chosen(), chosen()], [2, 2, 0]);
        servers.iter().for_each(fail);
        assert_eq!([chosen(), chosen()], [1, 2]);
        servers[1].note(false);
        assert_eq!([chosen(), chosen()], [1, 1]);
    }
}
