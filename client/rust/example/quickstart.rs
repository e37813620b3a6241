use runwire::{Client, Result, v1::run::State};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = Client::from_env()?; // RUNWIRE_TRACKING_URI, or Client::new("http://localhost:5000")
    let run = client
        .runs()
        .create()
        .experiment_name("quickstart")
        .tag("language", "rust")
        .param("lr", 0.001)
        .send()
        .await?;
    let writer = client.writer(&run.run_id).open();
    for step in 0..100 {
        writer.log([("loss", 1.0 / (step as f64 + 1.0))], step);
    }
    writer.close().await?; // acknowledged: durable and readable
    client.runs().finish(&run.run_id, State::Finished).await?;
    println!("run {} is in", run.run_id);
    Ok(())
}
