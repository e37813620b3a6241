//! The ops.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runwire::v1::run::State;
use runwire::{Client, WhenFull, Writer};
use serde_json::{Value, json};

use crate::answer::{self, Answer, Args, Failure, fault};
use crate::watcher::Watched;
use crate::{bench, series, types};

const CAPABILITIES: [&str; 10] = [
    "runs", "search", "writer", "files", "streams", "registry", "watcher", "cancel", "bounded",
    "tls",
];

#[derive(Default)]
pub struct Runner {
    client: Option<Client>,
    writers: HashMap<String, Writer>,
    watchers: HashMap<String, Watched>,
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
                Ok(rejected(
                    &runs
                        .log_params(args.text("run_id"), args.map("params"))
                        .await?,
                ))
            }
            "log_tags" => {
                let runs = self.client()?.runs();
                Ok(rejected(
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

    fn client(&self) -> Result<&Client, Failure> {
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

    fn name(&mut self, kind: &str) -> String {
        self.opened += 1;
        format!("{kind}-{}", self.opened)
    }

    // Runs ----------------------------------------------------------------------------------------

    async fn create_run(&self, args: Args<'_>) -> Answer {
        let mut create = self.client()?.runs().create();
        create = create
            .experiment_name(args.text("experiment_name"))
            .name(args.text("name"));
        for (key, value) in args.map("params") {
            create = create.param(key, value);
        }
        for (key, value) in args.map("tags") {
            create = create.tag(key, value);
        }
        Ok(answer::message(&create.send().await?))
    }

    async fn get_run(&self, args: Args<'_>) -> Answer {
        let mut client = self.client()?.clone();
        if args.has("timeout_s") {
            client = client.with_timeout(args.seconds("timeout_s", 30.0));
        }
        Ok(answer::message(
            &client.runs().get(args.text("run_id")).await?,
        ))
    }

    async fn log_metrics(&self, args: Args<'_>) -> Answer {
        let runs = self.client()?.runs();
        let mut rejections = Vec::new();
        for one in args.each("metrics") {
            let values = [(one.text("key"), one.bits("bits")?)];
            rejections.extend(
                runs.log_metrics(args.text("run_id"), values, one.int("step", 0))
                    .await?,
            );
        }
        Ok(rejected(&rejections))
    }

    async fn finish_run(&self, args: Args<'_>) -> Answer {
        let state = if args.has("state") {
            args.text("state")
        } else {
            "FINISHED"
        };
        let state = State::from_str_name(&format!("STATE_{state}"))
            .ok_or_else(|| fault("no such state"))?;
        Ok(answer::message(
            &self
                .client()?
                .runs()
                .finish(args.text("run_id"), state)
                .await?,
        ))
    }

    async fn search_runs(&self, args: Args<'_>) -> Answer {
        let search = self.client()?.runs().search().filter(args.text("filter"));
        let search = search
            .order_by(args.text("order_by"))
            .page_size(args.int("page_size", 0) as i32);
        let mut pages = search.pages();
        let mut run_ids = Vec::new();
        while let Some(run) = pages.try_next().await? {
            run_ids.push(run.run_id);
        }
        Ok(json!({ "run_ids": run_ids }))
    }

    /// Whoever drops the future of a call cancels it.
    async fn cancel_get_run(&self, args: Args<'_>) -> Answer {
        let (runs, run_id) = (self.client()?.runs(), args.text("run_id").to_owned());
        let call = tokio::spawn(async move { runs.get(&run_id).await });
        let handle = call.abort_handle();
        let after = Duration::from_millis(args.int("after_ms", 0) as u64);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            handle.abort();
        });
        match call.await {
            Ok(answer) => Ok(answer::message(&answer?)),
            Err(error) if error.is_cancelled() => Err(Failure::Code("CANCELLED")),
            Err(error) => Err(fault(error)),
        }
    }

    // Writers -------------------------------------------------------------------------------------

    fn open_writer(&mut self, args: Args<'_>) -> Answer {
        let mut writer = self.client()?.writer(args.text("run_id"));
        writer = writer.flush_interval(Duration::from_millis(
            args.int("flush_interval_ms", 200) as u64
        ));
        if args.int("max_batch_bytes", 0) > 0 {
            writer = writer.max_batch_bytes(args.int("max_batch_bytes", 0) as usize);
        }
        if args.int("max_buffered_bytes", 0) > 0 {
            writer = writer.max_buffered_bytes(args.int("max_buffered_bytes", 0) as usize);
        }
        if args.text("when_full") == "drop" {
            writer = writer.when_full(WhenFull::Drop);
        }
        let name = self.name("writer");
        self.writers.insert(name.clone(), writer.open());
        Ok(json!({ "writer": name }))
    }

    fn writer(&self, args: Args<'_>) -> Result<&Writer, Failure> {
        self.writers
            .get(args.text("writer"))
            .ok_or_else(|| fault("no such writer"))
    }

    fn write(&self, args: Args<'_>) -> Answer {
        let writer = self.writer(args)?;
        for one in args.each("points") {
            let values = [(one.text("key"), one.bits("bits")?)];
            writer.log_at(values, one.int("step", 0), one.int("time_micros", 0));
        }
        Ok(json!({}))
    }

    fn write_series(&self, args: Args<'_>) -> Answer {
        let seed = args.text("seed").parse().map_err(fault)?;
        let [count, threads] = ["count", "threads"].map(|name| args.int(name, 1) as u64);
        series::write(self.writer(args)?, args.text("key"), count, seed, threads);
        Ok(json!({}))
    }

    async fn flush(&self, args: Args<'_>) -> Answer {
        in_time(args, self.writer(args)?.flush()).await
    }

    fn writer_status(&self, args: Args<'_>) -> Answer {
        let writer = self.writer(args)?;
        Ok(json!({
            "stop_requested": writer.stop_requested(),
            "dropped_points": writer.dropped_points().to_string(),
            "rejections": answer::rejections(&writer.rejections()),
            "writer_id": writer.writer_id(),
            "error": writer.error().as_ref().map(answer::told),
        }))
    }

    async fn close_writer(&mut self, args: Args<'_>) -> Answer {
        let writer = self
            .writers
            .remove(args.text("writer"))
            .ok_or_else(|| fault("no such writer"))?;
        in_time(args, writer.close()).await
    }

    // Artifacts -----------------------------------------------------------------------------------

    async fn upload(&self, args: Args<'_>) -> Answer {
        let (seen, progress) = progress();
        let upload = self.client()?.artifacts().upload(args.text("run_id"));
        let stored = upload
            .file(args.text("path"), args.text("file"))
            .progress(progress)
            .send()
            .await?;
        Ok(told_of(&stored[0], &seen))
    }

    async fn upload_data(&self, args: Args<'_>) -> Answer {
        let (seen, progress) = progress();
        let upload = self.client()?.artifacts().upload(args.text("run_id"));
        let data = answer::of_base64(args.text("data"))?;
        let stored = upload
            .bytes(args.text("path"), data)
            .progress(progress)
            .send()
            .await?;
        Ok(told_of(&stored[0], &seen))
    }

    async fn download(&self, args: Args<'_>) -> Answer {
        let (seen, progress) = progress();
        let download = self
            .client()?
            .artifacts()
            .download(args.text("run_id"), args.text("path"));
        let stored = download
            .progress(progress)
            .to_file(args.text("file"))
            .await?;
        Ok(told_of(&stored, &seen))
    }

    async fn download_data(&self, args: Args<'_>) -> Answer {
        let download = self
            .client()?
            .artifacts()
            .download(args.text("run_id"), args.text("path"));
        Ok(json!({ "data": answer::to_base64(&download.bytes().await?) }))
    }

    async fn list_artifacts(&self, args: Args<'_>) -> Answer {
        let artifacts = self.client()?.artifacts();
        let recursive = args.bool("recursive", true);
        let found = artifacts
            .list(args.text("run_id"), args.text("prefix"), recursive)
            .all()
            .await?;
        Ok(json!({ "paths": found.into_iter().map(|one| one.path).collect::<Vec<_>>() }))
    }

    // Registry ------------------------------------------------------------------------------------

    async fn create_version(&self, args: Args<'_>) -> Answer {
        let mut create = self.client()?.models().create_version(args.text("model"));
        create = create.from_run(args.text("run_id"), args.text("artifact_path"));
        for alias in args.texts("aliases") {
            create = create.alias(alias);
        }
        Ok(answer::message(&create.send().await?))
    }

    async fn set_alias(&self, args: Args<'_>) -> Answer {
        let models = self.client()?.models();
        let mut set = models.set_alias(
            args.text("model"),
            args.text("alias"),
            args.int("version", 0),
        );
        if args.has("expected_version") {
            set = set.expected(args.int("expected_version", 0));
        }
        set.send().await?;
        Ok(json!({}))
    }

    async fn resolve(&self, args: Args<'_>) -> Answer {
        let references = args.texts("references");
        let meanings = self.client()?.models().resolve_all(&references).await?;
        let resolved = references.iter().zip(meanings).map(|(reference, meaning)| match meaning {
            Ok(found) => json!({ "reference": reference, "version": found.version.to_string(), "reason": null }),
            Err(error) => json!({ "reference": reference, "version": null, "reason": error.reason() }),
        });
        Ok(json!({ "resolved": resolved.collect::<Vec<_>>() }))
    }

    fn open_watcher(&mut self, args: Args<'_>) -> Answer {
        let watched = Watched::new(self.client()?, args.texts("references"))?;
        let name = self.name("watcher");
        self.watchers.insert(name.clone(), watched);
        Ok(json!({ "watcher": name }))
    }

    fn watcher(&self, args: Args<'_>) -> Result<&Watched, Failure> {
        self.watchers
            .get(args.text("watcher"))
            .ok_or_else(|| fault("no such watcher"))
    }

    fn watcher_wait(&self, args: Args<'_>) -> Answer {
        let timeout = args.seconds("timeout_s", 30.0);
        let changes =
            self.watcher(args)?
                .wait(args.text("reference"), args.text("version"), timeout)?;
        Ok(json!({ "changes": changes }))
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

fn rejected(rejections: &[runwire::v1::Rejection]) -> Value {
    json!({ "rejections": answer::rejections(rejections) })
}

async fn in_time(args: Args<'_>, work: impl Future<Output = runwire::Result<()>>) -> Answer {
    match tokio::time::timeout(args.seconds("timeout_s", 30.0), work).await {
        Ok(done) => done.map(|()| json!({})).map_err(Failure::from),
        Err(_) => Err(Failure::Code("DEADLINE_EXCEEDED")),
    }
}

type Seen = Arc<Mutex<Vec<u64>>>;

/// A callback, and what it was told.
fn progress() -> (Seen, impl FnMut(u64, u64) + Send + 'static) {
    let seen = Seen::default();
    let told = seen.clone();
    (seen, move |done, _| told.lock().unwrap().push(done))
}

fn told_of(stored: &runwire::Stored, seen: &Seen) -> Value {
    let seen = seen.lock().unwrap();
    json!({
        "digest": stored.digest,
        "size": stored.size_bytes.to_string(),
        "progress": [seen.first(), seen.last()],
    })
}
