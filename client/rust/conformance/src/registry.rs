//! The ops of models and watchers.

use serde_json::json;

use crate::answer::{self, Answer, Args, Failure, fault};
use crate::runner::Runner;
use crate::watcher::Watched;

impl Runner {
    pub async fn create_version(&self, args: Args<'_>) -> Answer {
        let mut create = self.client()?.models().create_version(args.text("model"));
        create = create.from_run(args.text("run_id"), args.text("artifact_path"));
        for alias in args.texts("aliases") {
            create = create.alias(alias);
        }
        Ok(answer::message(&create.send().await?))
    }

    pub async fn set_alias(&self, args: Args<'_>) -> Answer {
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

    pub async fn resolve(&self, args: Args<'_>) -> Answer {
        let references = args.texts("references");
        let meanings = self.client()?.models().resolve_all(&references).await?;
        let resolved = references.iter().zip(meanings).map(|(reference, meaning)| match meaning {
            Ok(found) => json!({ "reference": reference, "version": found.version.to_string(), "reason": null }),
            Err(error) => json!({ "reference": reference, "version": null, "reason": error.reason() }),
        });
        Ok(json!({ "resolved": resolved.collect::<Vec<_>>() }))
    }

    pub fn open_watcher(&mut self, args: Args<'_>) -> Answer {
        let watched = Watched::new(self.client()?, args.texts("references"))?;
        let name = self.name("watcher");
        self.watchers.insert(name.clone(), watched);
        Ok(json!({ "watcher": name }))
    }

    pub fn watcher(&self, args: Args<'_>) -> Result<&Watched, Failure> {
        self.watchers
            .get(args.text("watcher"))
            .ok_or_else(|| fault("no such watcher"))
    }

    pub fn watcher_wait(&self, args: Args<'_>) -> Answer {
        let timeout = args.seconds("timeout_s", 120.0);
        let changes =
            self.watcher(args)?
                .wait(args.text("reference"), args.text("version"), timeout)?;
        Ok(json!({ "changes": changes }))
    }
}
