//! Tracking URIs: what a user may write, and what it comes to.

use tonic::codegen::http::uri::Authority;

use crate::{Error, Result};

pub(crate) const GRPC_PORT: u16 = 5001;

/// Where a server is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// `host:port` of each server.
    Grpc {
        endpoints: Vec<String>,
        secure: bool,
    },
    /// Ask there; without a `/` at the end.
    Web(String),
}

impl Target {
    pub fn parse(uri: &str) -> Result<Self> {
        let (scheme, rest) = uri.split_once("://").ok_or_else(|| unknown(uri))?;
        let (servers, path) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme.to_ascii_lowercase().as_str() {
            web @ ("http" | "https") => {
                // As browsers have it: behind these ports may be a proxy.
                let port = if web == "https" { 443 } else { 80 };
                let server = authority(uri, servers, port)?;
                let path = format!("/{}", path.trim_end_matches('/'));
                Ok(Self::Web(format!(
                    "{web}://{server}{}",
                    path.trim_end_matches('/')
                )))
            }
            scheme @ ("grpc" | "grpcs") => {
                if !path.trim_matches('/').is_empty() {
                    return Err(invalid(uri, format!("a gRPC address has no path ({path})")));
                }
                let endpoints = servers.split(',').map(|one| authority(uri, one, GRPC_PORT));
                Ok(Self::Grpc {
                    endpoints: endpoints.collect::<Result<_>>()?,
                    secure: scheme == "grpcs",
                })
            }
            _ => Err(unknown(uri)),
        }
    }
}

/// `host:port` of a server, with the port that it has unless told otherwise.
fn authority(uri: &str, server: &str, port: u16) -> Result<String> {
    let parsed: Authority = server.parse().map_err(|error| invalid(uri, error))?;
    let port = match parsed.as_str().rsplit_once(':') {
        Some((_, digits)) if !digits.ends_with(']') => digits
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| invalid(uri, "no such port"))?,
        _ => port,
    };
    if parsed.host().is_empty() {
        return Err(invalid(uri, "names no host"));
    }
    if parsed.host().contains(',') {
        return Err(invalid(uri, "several servers go by their gRPC addresses"));
    }
    Ok(format!("{}:{port}", parsed.host()))
}

fn unknown(uri: &str) -> Error {
    invalid(
        uri,
        "use http(s)://HOST:5000, or grpc(s)://HOST:5001 (several: grpc://ONE,TWO)",
    )
}

fn invalid(uri: &str, problem: impl std::fmt::Display) -> Error {
    Error::invalid("tracking_uri", format!("{uri:?}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grpc(endpoints: &[&str], secure: bool) -> Target {
        Target::Grpc {
            endpoints: endpoints.iter().map(|one| one.to_string()).collect(),
            secure,
        }
    }

    #[test]
    fn ports_are_those_of_a_server_unless_told_otherwise() {
        assert_eq!(
            Target::parse("grpc://ada,bob:6001").unwrap(),
            grpc(&["ada:5001", "bob:6001"], false)
        );
        assert_eq!(
            Target::parse("GRPCS://[::1]:7/").unwrap(),
            grpc(&["[::1]:7"], true)
        );
        assert_eq!(
            Target::parse("grpc://[::1]").unwrap(),
            grpc(&["[::1]:5001"], false)
        );
        assert_eq!(
            Target::parse("http://ada").unwrap(),
            Target::Web("http://ada:80".into())
        );
        assert_eq!(
            Target::parse("https://ada/").unwrap(),
            Target::Web("https://ada:443".into())
        );
        assert_eq!(
            Target::parse("https://ada:1/x/").unwrap(),
            Target::Web("https://ada:1/x".into())
        );
    }

    #[test]
    fn what_can_never_work_names_the_field() {
        for uri in [
            "",
            "ada:5001",
            "grpc://",
            "grpc://ada/x",
            "grpc://ada:0",
            "http://a,b",
            "ftp://ada",
        ] {
            let error = Target::parse(uri).expect_err(uri);
            assert_eq!(error.metadata()["field"], "tracking_uri");
        }
    }
}
