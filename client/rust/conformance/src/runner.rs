//! The ops.

use std::collections::HashMap;

use runwire::{Client, Writer};
use serde_json::{Value, json};

use crate::answer::{self, Answer, Args, Failure, fault};
use crate::watcher::Watched;
use crate::{bench, types};

const CAPABILITIES: [&str; 10] = [
    "runs", "search", "writer", "files", "streams", "registry", "watcher", "cancel", "bounded",
    "tls",
];

#[derive(Default)]
pub struct Runner {
    pub client: Option<Client>,
    pub writers: HashMap<String, Writer>,
    pub watchers: HashMap<String, Watched>,
    opened: usize,
}

impl Runner {
    pub async fn answer(&mut self, op: &str, args: &Value) -> Answer {
        let args = Args(args);
        match op {
            "hello" => Ok(hello()),
            "connect" => self.connect(args),
            "server_info" => Ok(answer::message(&self.client()?.server_info().await?)),
            "create_run" => self.create_run(args).await,
            "get_run" => self.get_run(args).await,
            "log_params" => {
                let runs = self.client()?.runs();
                Ok(answer::rejected(
                    &runs
                        .log_params(args.text("run_id"), args.map("params"))
                        .await?,
                ))
            }
            "log_tags" => {
                let runs = self.client()?.runs();
                Ok(answer::rejected(
                    &runs.log_tags(args.text("run_id"), args.map("tags")).await?,
                ))
            }
            "log_metrics" => self.log_metrics(args).await,
            "finish_run" => self.finish_run(args).await,
            "search_runs" => self.search_runs(args).await,
            "cancel_get_run" => self.cancel_get_run(args).await,
            "open_writer" => self.open_writer(args),
            "write" => self.write(args),
            "write_series" => self.write_series(args),
            "flush" => self.flush(args).await,
            "writer_status" => self.writer_status(args),
            "close_writer" => self.close_writer(args).await,
            "upload" => self.upload(args).await,
            "upload_data" => self.upload_data(args).await,
            "download" => self.download(args).await,
            "download_data" => self.download_data(args).await,
            "list_artifacts" => self.list_artifacts(args).await,
            "create_model" => Ok(answer::message(
                &self.client()?.models().create(args.text("name")).await?,
            )),
            "create_version" => self.create_version(args).await,
            "set_alias" => self.set_alias(args).await,
            "resolve" => self.resolve(args).await,
            "open_watcher" => self.open_watcher(args),
            "watcher_wait" => self.watcher_wait(args),
            "watcher_get" => {
                let found = self.watcher(args)?.models.get(args.text("reference"))?;
                Ok(json!({ "version": found.version.to_string() }))
            }
            "watcher_status" => Ok(json!({ "connected": self.watcher(args)?.models.connected() })),
            "close_watcher" => {
                self.watchers.remove(args.text("watcher"));
                Ok(json!({}))
            }
            "reserialize" => {
                types::reserialize(args.text("type"), &answer::of_base64(args.text("message"))?)
            }
            "bench_log" => {
                let writer = self.client()?.writer(args.text("run_id")).open();
                Ok(bench::log(
                    writer,
                    args.int("calls", 1) as usize,
                    args.int("keys", 1) as usize,
                )
                .await?)
            }
            "bench_resolve" => {
                let (models, reference) = (self.client()?.models(), args.text("reference"));
                Ok(
                    bench::calls(args.int("calls", 1) as usize, || models.resolve(reference))
                        .await?,
                )
            }
            "bench_read" => {
                let (runs, run_id) = (self.client()?.runs(), args.text("run_id"));
                Ok(bench::calls(args.int("calls", 1) as usize, || runs.get(run_id)).await?)
            }
            _ => Err(fault(format!("there is no op {op:?}"))),
        }
    }

    pub fn client(&self) -> Result<&Client, Failure> {
        self.client
            .as_ref()
            .ok_or_else(|| fault("connect comes first"))
    }

    fn connect(&mut self, args: Args<'_>) -> Answer {
        self.writers.clear();
        self.watchers.clear();
        let builder = Client::builder()
            .uri(args.text("uri"))
            .timeout(args.seconds("timeout_s", 30.0));
        self.client = Some(builder.token(args.text("token")).build()?);
        Ok(json!({}))
    }

    pub fn name(&mut self, kind: &str) -> String {
        self.opened += 1;
        format!("{kind}-{}", self.opened)
    }
}

fn hello() -> Value {
    json!({
        "language": "rust",
        "version": "0.1.0",
        "transport": "grpc",
        "capabilities": CAPABILITIES,
    })
}
