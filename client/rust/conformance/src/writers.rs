//! The ops of writers.

use std::time::Duration;

use runwire::{WhenFull, Writer};
use serde_json::json;

use crate::answer::{self, Answer, Args, Failure, fault};
use crate::runner::Runner;
use crate::series;

impl Runner {
    pub fn open_writer(&mut self, args: Args<'_>) -> Answer {
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

    pub fn writer(&self, args: Args<'_>) -> Result<&Writer, Failure> {
        self.writers
            .get(args.text("writer"))
            .ok_or_else(|| fault("no such writer"))
    }

    pub fn write(&self, args: Args<'_>) -> Answer {
        let writer = self.writer(args)?;
        for one in args.each("points") {
            let values = [(one.text("key"), one.bits("bits")?)];
            writer.log_at(values, one.int("step", 0), one.int("time_micros", 0));
        }
        Ok(json!({}))
    }

    pub fn write_series(&self, args: Args<'_>) -> Answer {
        let seed = args.text("seed").parse().map_err(fault)?;
        let [count, threads] = ["count", "threads"].map(|name| args.int(name, 1) as u64);
        series::write(self.writer(args)?, args.text("key"), count, seed, threads);
        Ok(json!({}))
    }

    pub async fn flush(&self, args: Args<'_>) -> Answer {
        in_time(args, self.writer(args)?.flush()).await
    }

    pub fn writer_status(&self, args: Args<'_>) -> Answer {
        let writer = self.writer(args)?;
        Ok(json!({
            "stop_requested": writer.stop_requested(),
            "dropped_points": writer.dropped_points().to_string(),
            "rejections": answer::rejections(&writer.rejections()),
            "writer_id": writer.writer_id(),
            "error": writer.error().as_ref().map(answer::told),
        }))
    }

    pub async fn close_writer(&mut self, args: Args<'_>) -> Answer {
        let writer = self
            .writers
            .remove(args.text("writer"))
            .ok_or_else(|| fault("no such writer"))?;
        in_time(args, writer.close()).await
    }
}

async fn in_time(args: Args<'_>, work: impl Future<Output = runwire::Result<()>>) -> Answer {
    match tokio::time::timeout(args.seconds("timeout_s", 120.0), work).await {
        Ok(done) => done.map(|()| json!({})).map_err(Failure::from),
        Err(_) => Err(Failure::Code("DEADLINE_EXCEEDED")),
    }
}
