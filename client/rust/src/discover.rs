//! `http://HOST:5000` as tracking URI: ask the web port where gRPC is served.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tonic::codegen::http::{Request, StatusCode, Uri};

use crate::uri::GRPC_PORT;
use crate::{Error, Result};

const PATH: &str = "/api/v1/server";
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// `host:port` of the gRPC endpoint behind a web address.
///
/// UNAVAILABLE where nothing answers, INVALID_ARGUMENT where something does that is no Runwire
/// server.
pub(crate) async fn discover(url: &str, ca_file: &Path) -> Result<String> {
    let uri: Uri = format!("{url}{PATH}")
        .parse()
        .map_err(|error| Error::invalid("tracking_uri", error))?;
    let asked = tokio::time::timeout(TIMEOUT, ask(&uri, ca_file)).await;
    let (status, body) = asked
        .map_err(|_| away(url, "no answer in time"))?
        .map_err(|error| match error {
            Failure::Ours(error) => error,
            Failure::Away(problem) => away(url, problem),
        })?;
    let endpoint = endpoint(url, status, &body)?;
    Ok(reachable(&endpoint, uri.host().unwrap_or_default()))
}

enum Failure {
    Ours(Error),
    Away(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Away(error.to_string())
    }
}

async fn ask(uri: &Uri, ca_file: &Path) -> Result<(StatusCode, Bytes), Failure> {
    let authority = uri
        .authority()
        .map(|authority| authority.as_str())
        .unwrap_or_default();
    let stream = TcpStream::connect(authority).await?;
    if uri.scheme_str() == Some("http") {
        return get(TokioIo::new(stream), uri).await;
    }
    #[cfg(feature = "_tls")]
    {
        use tokio_rustls::rustls::pki_types::ServerName;
        let host = uri
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        let name = ServerName::try_from(host)?;
        let connector = crate::tls::web(ca_file).map_err(Failure::Ours)?;
        get(TokioIo::new(connector.connect(name, stream).await?), uri).await
    }
    #[cfg(not(feature = "_tls"))]
    {
        let _ = ca_file;
        Err(Failure::Ours(crate::connection::no_tls()))
    }
}

async fn get<S>(stream: S, uri: &Uri) -> Result<(StatusCode, Bytes), Failure>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    let authority = uri
        .authority()
        .map(|authority| authority.as_str())
        .unwrap_or_default();
    let request = Request::get(uri.path())
        .header("host", authority)
        .header("accept", "application/json")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await;
    let body = body.map_err(|error| Failure::Away(error.to_string()))?;
    Ok((status, body.to_bytes()))
}

/// `grpc_endpoint` of an answer.
fn endpoint(url: &str, status: StatusCode, body: &[u8]) -> Result<String> {
    if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
        return Err(Error::unavailable(format!("{url} answers {status}")));
    }
    if !status.is_success() {
        return Err(not_runwire(url, status));
    }
    let answer: Value = serde_json::from_slice(body).map_err(|_| not_runwire(url, "no JSON"))?;
    match &answer["grpc_endpoint"] {
        Value::String(endpoint) => Ok(endpoint.clone()),
        _ => Err(not_runwire(url, "other JSON")),
    }
}

/// An endpoint as the server tells it, as it is reached by whoever came by `came_by`: with that
/// host where it names none, or listens on all.
fn reachable(endpoint: &str, came_by: &str) -> String {
    let (host, port) = match endpoint.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (endpoint, ""),
    };
    let host = if matches!(host, "" | "0.0.0.0" | "[::]") {
        came_by
    } else {
        host
    };
    match port {
        "" => format!("{host}:{GRPC_PORT}"),
        port => format!("{host}:{port}"),
    }
}

fn away(url: &str, problem: impl std::fmt::Display) -> Error {
    Error::unavailable(format!(
        "nothing answers at {url} ({problem}). Is the server running there, and is this its web port \
         (5000 unless told otherwise)?"
    ))
}

fn not_runwire(url: &str, answer: impl std::fmt::Display) -> Error {
    Error::invalid(
        "tracking_uri",
        format!(
            "{url} is a web server, but not Runwire's (GET {PATH}: {answer}). grpc://HOST:5001 goes to a gRPC port"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_without_a_host_is_on_the_host_that_we_came_by() {
        assert_eq!(reachable(":6001", "ada"), "ada:6001");
        assert_eq!(reachable("0.0.0.0:6001", "ada"), "ada:6001");
        assert_eq!(reachable("[::]:6001", "[::1]"), "[::1]:6001");
        assert_eq!(reachable("bob", "ada"), "bob:5001");
        assert_eq!(reachable("bob:7", "ada"), "bob:7");
        assert_eq!(reachable("", "ada"), "ada:5001");
    }

    #[test]
    fn other_web_servers_are_told_from_one_that_is_away() {
        let code = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            endpoint("http://ada:5000", status, body.as_bytes()).map_err(|error| error.code_name())
        };
        assert_eq!(
            code(200, r#"{"grpc_endpoint": ":5001"}"#),
            Ok(":5001".into())
        );
        assert_eq!(code(503, ""), Err("UNAVAILABLE"));
        assert_eq!(code(404, ""), Err("INVALID_ARGUMENT"));
        assert_eq!(code(200, "<html>"), Err("INVALID_ARGUMENT"));
        assert_eq!(code(200, "[]"), Err("INVALID_ARGUMENT"));
    }
}
