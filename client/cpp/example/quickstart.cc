#include <runwire/runwire.h>

#include <iostream>

int main() {
  const runwire::Client client;  // RUNWIRE_TRACKING_URI

  runwire::NewRun wanted;
  wanted.experiment_name = "quickstart";
  wanted.params = {{"lr", "0.001"}};
  wanted.tags = {{"language", "cpp"}};
  const auto run = client.runs().create(wanted);

  auto writer = client.writer(run.run_id());
  for (int step = 0; step < 100 && !writer.stop_requested(); ++step) {
    writer.log({{"loss", 1.0 / (step + 1)}, {"accuracy", step / 100.0}}, step);
  }
  writer.close();  // waits until all of it is stored

  client.runs().finish(run.run_id());
  std::cout << "run " << run.run_id() << " at " << client.uri() << "\n";
}
