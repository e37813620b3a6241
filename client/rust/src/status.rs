//! `google.rpc.Status` out of a call's trailers, and the error that it makes.
//!
//! Definitions: google/rpc/status.proto and google/rpc/error_details.proto, as far as they are used.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::time::Duration;

use prost::Message;
use tonic::{Code, Status, TimeoutExpired};

use crate::Error;

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        if let Some(error) = cause::<Error>(&status) {
            return error.clone();
        }
        of_service(&status).unwrap_or_else(|| of_transport(&status))
    }
}

/// What the server said; None where it did not say it.
fn of_service(status: &Status) -> Option<Error> {
    let sent = RpcStatus::decode(status.details()).ok()?;
    let info: ErrorInfo =
        detail(&sent, "ErrorInfo").filter(|info: &ErrorInfo| !info.reason.is_empty())?;
    let retry: Option<RetryInfo> = detail(&sent, "RetryInfo");
    let message = if sent.message.is_empty() {
        status.message()
    } else {
        &sent.message
    };
    Some(
        Error::new(status.code(), message)
            .with_reason_name(info.reason)
            .with_metadata(info.metadata)
            .with_retry_after(retry.and_then(|retry| Duration::try_from(retry.retry_delay?).ok())),
    )
}

fn detail<M: Message + Default>(status: &RpcStatus, name: &str) -> Option<M> {
    let url = format!("type.googleapis.com/google.rpc.{name}");
    let found = status
        .details
        .iter()
        .find(|detail| detail.type_url == url)?;
    M::decode(&*found.value).ok()
}

/// Something between us and the service ended the call. What tonic could not read from a broken
/// connection has many codes, and one meaning.
fn of_transport(status: &Status) -> Error {
    if cause::<TimeoutExpired>(status).is_some() {
        return deadline_exceeded();
    }
    let code = match status.code() {
        Code::Ok | Code::Unknown | Code::Internal | Code::Cancelled
            if status.source().is_some() =>
        {
            Code::Unavailable
        }
        Code::Unknown if status.message().contains("h2 protocol error") => Code::Unavailable,
        code => code,
    };
    match status.message() {
        "" => Error::new(code, code.description()),
        message => Error::new(code, message),
    }
}

pub(crate) fn deadline_exceeded() -> Error {
    Error::new(
        Code::DeadlineExceeded,
        "the server did not answer in time; what was asked may have happened",
    )
}

/// The first of a type among an error and its causes.
pub(crate) fn cause<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(name: &str, message: &impl Message) -> prost_types::Any {
        prost_types::Any {
            type_url: format!("type.googleapis.com/google.rpc.{name}"),
            value: message.encode_to_vec(),
        }
    }

    #[test]
    fn details_of_a_status_become_fields_of_the_error() {
        let info = ErrorInfo {
            reason: "OVERLOADED".into(),
            metadata: [("field".to_owned(), "äöü".to_owned())].into(),
        };
        let retry = RetryInfo {
            retry_delay: Some(prost_types::Duration {
                seconds: 1,
                nanos: 500_000_000,
            }),
        };
        let sent = RpcStatus {
            message: "too much to do".into(),
            details: vec![any("RetryInfo", &retry), any("ErrorInfo", &info)],
        };
        let status = Status::with_details(Code::Unavailable, "text", sent.encode_to_vec().into());
        let error = Error::from(status);
        assert_eq!(error.reason(), "OVERLOADED");
        assert_eq!(error.message(), "too much to do");
        assert_eq!(error.metadata()["field"], "äöü");
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn details_of_somebody_else_leave_code_and_text() {
        let status =
            Status::with_details(Code::Unavailable, "bad gateway", vec![0xff, 0xff].into());
        let error = Error::from(status);
        assert_eq!(
            (error.code(), error.reason(), error.message()),
            (Code::Unavailable, "", "bad gateway")
        );
    }

    #[test]
    fn broken_connection_is_unavailable_whatever_tonic_calls_it() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let error = Error::from(Status::from_error(Box::new(broken)));
        assert_eq!(error.code(), Code::Unavailable);
    }
}
