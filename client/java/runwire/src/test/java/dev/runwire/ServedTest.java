package dev.runwire;

import io.grpc.BindableService;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** Each test has a server of one service on loopback, and a client of it. */
abstract class ServedTest {
  Server server;
  RunwireClient client;

  abstract BindableService service();

  @BeforeEach
  void start() throws IOException {
    server =
        Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create())
            .addService(service())
            .build()
            .start();
    client = RunwireClient.connect("grpc://127.0.0.1:" + server.getPort());
  }

  @AfterEach
  void stop() throws InterruptedException {
    client.close();
    server.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
  }
}
