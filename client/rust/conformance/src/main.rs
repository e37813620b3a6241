//! The runner of the conformance suite: does what each line of standard input says, with this
//! client and nothing else. tests/conformance/README.md is its specification.

mod answer;
mod bench;
mod files;
mod registry;
mod runner;
mod runs;
mod series;
mod types;
mod watcher;
mod writers;

use std::io::{BufRead, Write};

use runner::Runner;
use serde_json::{Value, json};

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("the system gives an event queue");
    let mut runner = Runner::default();
    for line in std::io::stdin().lock().lines() {
        let request: Value =
            serde_json::from_str(&line.expect("lines are text")).expect("lines are JSON");
        let op = request["op"].as_str().unwrap_or_default();
        let mut answer = match runtime.block_on(runner.answer(op, &request["args"])) {
            Ok(ok) => json!({ "ok": ok }),
            Err(error) => json!({ "error": answer::error(error) }),
        };
        answer["id"] = request["id"].clone();
        println!("{answer}");
        std::io::stdout().flush().expect("somebody reads");
    }
}
