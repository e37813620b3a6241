//! What goes in and comes out, as JSON.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use prost::Message;
use runwire::Error;
use runwire::v1::Rejection;
use serde_json::{Value, json};

/// What an op can fail with.
#[derive(Debug)]
pub enum Failure {
    /// What the client said.
    Client(Error),
    /// Of the runner itself.
    Runner(String),
    /// An end that the runner has set, by its gRPC code.
    Code(&'static str),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

pub type Answer = Result<Value, Failure>;

pub fn fault(problem: impl std::fmt::Display) -> Failure {
    Failure::Runner(problem.to_string())
}

pub fn error(failure: Failure) -> Value {
    match failure {
        Failure::Client(error) => told(&error),
        Failure::Runner(message) => json!({ "code": "RUNNER", "message": message }),
        Failure::Code(code) => {
            json!({ "code": code, "reason": "", "metadata": {}, "message": "", "retry_after_s": null })
        }
    }
}

pub fn told(error: &Error) -> Value {
    json!({
        "code": error.code_name(),
        "reason": error.reason(),
        "metadata": error.metadata(),
        "message": error.message(),
        "retry_after_s": error.retry_after().map(|pause| pause.as_secs_f64()),
    })
}

pub fn message(message: &impl Message) -> Value {
    json!({ "message": STANDARD.encode(message.encode_to_vec()) })
}

pub fn rejections(rejections: &[Rejection]) -> Value {
    let reason = |one: &Rejection| one.fault.as_ref().map(|fault| fault.reason.clone());
    rejections
        .iter()
        .map(|one| json!({ "key": one.key, "reason": reason(one) }))
        .collect()
}

pub fn rejected(found: &[Rejection]) -> Value {
    json!({ "rejections": rejections(found) })
}

pub fn to_base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}

pub fn of_base64(text: &str) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(text).map_err(fault)
}

/// Arguments of an op; what has a default may be left out.
#[derive(Clone, Copy)]
pub struct Args<'a>(pub &'a Value);

impl<'a> Args<'a> {
    pub fn text(&self, name: &str) -> &'a str {
        self.0[name].as_str().unwrap_or_default()
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let found = self.0[name].as_array().into_iter().flatten();
        found
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect()
    }

    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let found = self.0[name].as_object().into_iter().flatten();
        found
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// A number, or a decimal string.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        let value = &self.0[name];
        let text = value.as_str().and_then(|text| text.parse().ok());
        text.or_else(|| value.as_i64()).unwrap_or(default)
    }

    pub fn seconds(&self, name: &str, default: f64) -> std::time::Duration {
        std::time::Duration::from_secs_f64(self.0[name].as_f64().unwrap_or(default))
    }

    pub fn has(&self, name: &str) -> bool {
        !self.0[name].is_null()
    }

    pub fn bool(&self, name: &str, default: bool) -> bool {
        self.0[name].as_bool().unwrap_or(default)
    }

    /// A double by its bits, in 16 hex digits.
    pub fn bits(&self, name: &str) -> Result<f64, Failure> {
        u64::from_str_radix(self.text(name), 16)
            .map(f64::from_bits)
            .map_err(fault)
    }

    pub fn each(&self, name: &str) -> impl Iterator<Item = Args<'a>> + use<'a> {
        self.0[name].as_array().into_iter().flatten().map(Args)
    }
}
