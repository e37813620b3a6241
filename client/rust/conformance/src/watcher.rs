//! A watcher, and all that its callback was told.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use runwire::{Client, ModelChange, ModelWatcher};
use serde_json::{Value, json};

use crate::answer::Failure;

pub struct Watched {
    pub models: ModelWatcher,
    told: Arc<(Mutex<Vec<Value>>, Condvar)>,
}

impl Watched {
    pub fn new(client: &Client, references: Vec<String>) -> runwire::Result<Self> {
        let told: Arc<(Mutex<Vec<Value>>, Condvar)> = Arc::default();
        let heard = told.clone();
        let hear = move |change: ModelChange| {
            let version = change.now.ok().map(|now| now.version.to_string());
            let change = json!({ "reference": change.reference, "version": version });
            heard.0.lock().unwrap().push(change);
            heard.1.notify_all();
        };
        let models = client.model_watcher(references).on_change(hear).start()?;
        Ok(Self { models, told })
    }

    pub fn wait(
        &self,
        reference: &str,
        version: &str,
        timeout: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let due = json!({ "reference": reference, "version": version });
        let told = self.told.0.lock().unwrap();
        let waits = |told: &mut Vec<Value>| !told.contains(&due);
        let (told, ended) = self
            .told
            .1
            .wait_timeout_while(told, timeout, waits)
            .unwrap();
        if ended.timed_out() {
            Err(Failure::Code("DEADLINE_EXCEEDED"))
        } else {
            Ok(told.clone())
        }
    }
}
