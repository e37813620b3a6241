import dev.runwire.MetricWriter;
import dev.runwire.RunwireClient;
import dev.runwire.v1.Run;
import java.util.Map;

/** Logs a run to the server of RUNWIRE_TRACKING_URI. */
public class Example {
  public static void main(String[] args) {
    try (RunwireClient client = RunwireClient.connect()) {
      Run run =
          client.runs().create("quickstart", Run.newBuilder().putTags("language", "java").build());
      client.runs().logParams(run.getRunId(), Map.of("lr", "0.001"));
      try (MetricWriter writer = client.writer(run.getRunId())) {
        for (int step = 0; step < 100; step++) {
          writer.log(Map.of("loss", 1.0 / (step + 1), "accuracy", step / 100.0), step);
        }
      } // waits until the server has everything
      client.runs().finish(run.getRunId());
      System.out.println("run " + run.getRunId() + " is finished");
    }
  }
}
