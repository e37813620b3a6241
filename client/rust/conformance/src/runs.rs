//! The ops of runs.

use std::time::Duration;

use runwire::v1::run::State;
use serde_json::json;

use crate::answer::{self, Answer, Args, Failure, fault, rejected};
use crate::runner::Runner;

impl Runner {
    pub async fn create_run(&self, args: Args<'_>) -> Answer {
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

    pub async fn get_run(&self, args: Args<'_>) -> Answer {
        let mut client = self.client()?.clone();
        if args.has("timeout_s") {
            client = client.with_timeout(args.seconds("timeout_s", 30.0));
        }
        Ok(answer::message(
            &client.runs().get(args.text("run_id")).await?,
        ))
    }

    pub async fn log_metrics(&self, args: Args<'_>) -> Answer {
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

    pub async fn finish_run(&self, args: Args<'_>) -> Answer {
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

    pub async fn search_runs(&self, args: Args<'_>) -> Answer {
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
    pub async fn cancel_get_run(&self, args: Args<'_>) -> Answer {
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
}
