//! What a call can fail with.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use tonic::Code;

use crate::v1::{ErrorReason, Fault};

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that went wrong between this program and its server.
///
/// ```
/// # fn handle(error: runwire::Error) {
/// use runwire::{Code, v1::ErrorReason};
///
/// if error.is(ErrorReason::RunSealed) {
///     println!("run {} is over: {}", error.metadata()["run_id"], error.metadata()["state"]);
/// } else if error.code() == Code::Unavailable {
///     println!("try again after {:?}", error.retry_after());
/// }
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq)]
struct Inner {
    code: Code,
    reason: String,
    metadata: BTreeMap<String, String>,
    message: String,
    retry_after: Option<Duration>,
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            reason: String::new(),
            metadata: BTreeMap::new(),
            message: message.into(),
            retry_after: None,
        }))
    }

    /// What this side finds wrong with an argument before it asks the server.
    pub(crate) fn invalid(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(Code::InvalidArgument, format!("{field}: {problem}"))
            .with_reason(ErrorReason::FieldInvalid)
            .with_metadata([("field".to_owned(), field.to_owned())].into())
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    pub(crate) fn io(problem: impl fmt::Display) -> Self {
        Self::new(Code::Unknown, problem.to_string())
    }

    pub(crate) fn with_reason(self, reason: ErrorReason) -> Self {
        self.with_reason_name(reason_name(reason))
    }

    pub(crate) fn with_reason_name(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = reason.into();
        self
    }

    pub(crate) fn with_metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.0.metadata = metadata;
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Its name as gRPC spells it, for instance `NOT_FOUND`.
    pub fn code_name(&self) -> &'static str {
        code_name(self.0.code)
    }

    /// The name of an [`ErrorReason`] without its prefix, for instance `RUN_SEALED`. Empty where
    /// the transport failed and not the service.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// Whether that is its reason.
    pub fn is(&self, reason: ErrorReason) -> bool {
        self.0.reason == reason_name(reason)
    }

    /// What the message names: `field`, `key`, `run_id`; see [`ErrorReason`].
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.metadata
    }

    /// For people; not to be parsed.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same call may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self.0.code {
            Code::ResourceExhausted => self.0.retry_after.is_some(),
            Code::Unavailable => !self.is(ErrorReason::StorageUnavailable),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            "" => write!(f, "{} ({})", self.message(), self.code_name()),
            reason => write!(f, "{} ({reason})", self.message()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code)
            .field("reason", &self.0.reason)
            .field("metadata", &self.0.metadata)
            .field("message", &self.0.message)
            .field("retry_after", &self.0.retry_after)
            .finish()
    }
}

impl std::error::Error for Error {}

/// The error of one entry of a batch, as a call of its own would have failed with it.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(code_of_reason(&fault.reason), fault.message)
            .with_reason_name(fault.reason)
            .with_metadata(fault.metadata)
    }
}

fn reason_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// As the comments of `ErrorReason` say.
fn code_of_reason(reason: &str) -> Code {
    match reason {
        "NOT_FOUND" | "DELETED" => Code::NotFound,
        "ALREADY_EXISTS" | "REQUEST_ID_REUSED" => Code::AlreadyExists,
        "FIELD_INVALID"
        | "FILTER_SYNTAX"
        | "PAGE_TOKEN_MISMATCH"
        | "DIGEST_MISMATCH"
        | "CHECKSUM_MISMATCH" => Code::InvalidArgument,
        "PARAM_CONFLICT" | "RUN_SEALED" | "BLOBS_MISSING" | "STAGE_CHANGED" | "TREE_SEALED" => {
            Code::FailedPrecondition
        }
        "ETAG_MISMATCH" | "ALIAS_MOVED" => Code::Aborted,
        "SEQUENCE_GAP" | "OFFSET_GAP" | "REVISION_AHEAD" => Code::OutOfRange,
        "TOO_LARGE" | "QUOTA" => Code::ResourceExhausted,
        "OVERLOADED" | "DRAINING" | "STORAGE_UNAVAILABLE" => Code::Unavailable,
        "DATA_DAMAGED" => Code::DataLoss,
        "INTERNAL" => Code::Internal,
        "UNIMPLEMENTED" => Code::Unimplemented,
        _ => Code::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_becomes_the_error_that_a_call_of_its_own_would_have() {
        let error = Error::from(Fault {
            reason: "DELETED".into(),
            message: "it is in the trash".into(),
            metadata: [("kind".into(), "model".into())].into(),
        });
        assert_eq!(error.code(), Code::NotFound);
        assert!(error.is(ErrorReason::Deleted));
        assert_eq!(error.metadata()["kind"], "model");
        assert_eq!(error.to_string(), "it is in the trash (DELETED)");
    }

    #[test]
    fn every_reason_but_the_unspecified_has_a_code() {
        for number in 1..100 {
            if let Ok(reason) = ErrorReason::try_from(number) {
                assert_ne!(
                    code_of_reason(reason_name(reason)),
                    Code::Unknown,
                    "{reason:?}"
                );
            }
        }
    }
}
