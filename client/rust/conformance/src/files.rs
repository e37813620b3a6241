//! The ops of artifacts.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::answer::{self, Answer, Args};
use crate::runner::Runner;

impl Runner {
    pub async fn upload(&self, args: Args<'_>) -> Answer {
        let (seen, progress) = progress();
        let upload = self.client()?.artifacts().upload(args.text("run_id"));
        let stored = upload
            .file(args.text("path"), args.text("file"))
            .progress(progress)
            .send()
            .await?;
        Ok(told_of(&stored[0], &seen))
    }

    pub async fn upload_data(&self, args: Args<'_>) -> Answer {
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

    pub async fn download(&self, args: Args<'_>) -> Answer {
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

    pub async fn download_data(&self, args: Args<'_>) -> Answer {
        let download = self
            .client()?
            .artifacts()
            .download(args.text("run_id"), args.text("path"));
        Ok(json!({ "data": answer::to_base64(&download.bytes().await?) }))
    }

    pub async fn list_artifacts(&self, args: Args<'_>) -> Answer {
        let artifacts = self.client()?.artifacts();
        let recursive = args.bool("recursive", true);
        let found = artifacts
            .list(args.text("run_id"), args.text("prefix"), recursive)
            .all()
            .await?;
        Ok(json!({ "paths": found.into_iter().map(|one| one.path).collect::<Vec<_>>() }))
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
