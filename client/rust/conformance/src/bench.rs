//! How long calls take.

use std::future::Future;
use std::time::{Duration, Instant};

use runwire::{Result, Writer};
use serde_json::{Value, json};

pub async fn log(writer: Writer, calls: usize, keys: usize) -> Result<Value> {
    let names: Vec<String> = (0..keys).map(|number| format!("key/{number}")).collect();
    let values: Vec<(&str, f64)> = names
        .iter()
        .map(String::as_str)
        .zip((0..).map(f64::from))
        .collect();
    let mut took = Vec::with_capacity(calls);
    let start = Instant::now();
    for step in 0..calls {
        let before = Instant::now();
        writer.log(values.iter().copied(), step as i64);
        took.push(before.elapsed());
    }
    writer.close().await?;
    let seconds = start.elapsed().as_secs_f64();
    took.sort();
    let nanos = |part: usize| took[(calls * part / 100).min(calls - 1)].as_nanos() as u64;
    Ok(json!({ "call_ns": nanos(50), "call_p99_ns": nanos(99), "seconds": seconds }))
}

pub async fn calls<F, T>(calls: usize, call: impl Fn() -> F) -> Result<Value>
where
    F: Future<Output = Result<T>>,
{
    let mut took = Vec::with_capacity(calls);
    for _ in 0..calls {
        let before = Instant::now();
        call().await?;
        took.push(before.elapsed());
    }
    took.sort();
    let micros =
        |part: usize| Duration::as_secs_f64(&took[(calls * part / 100).min(calls - 1)]) * 1e6;
    Ok(json!({ "p50_us": micros(50), "p99_us": micros(99) }))
}
