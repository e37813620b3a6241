package dev.runwire;

import dev.runwire.TrackingUri.HostPort;
import dev.runwire.v1.GetServerInfoRequest;
import dev.runwire.v1.GetServerInfoResponse;
import dev.runwire.v1.ServerServiceGrpc;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * A tracking server. Close it, or use it in a try-with-resources block.
 *
 * <pre>{@code
 * try (RunwireClient client = RunwireClient.connect("http://host:5000")) {
 *   Run run = client.runs().create("nyc-taxi");
 * }
 * }</pre>
 *
 * <p>Calls block and throw {@link RunwireException}; those whose names end in {@code Async} answer
 * with a {@link CompletableFuture}, whose cancelling cancels the call.
 */
public final class RunwireClient implements AutoCloseable {
  /** Of this package. */
  public static final String VERSION = "0.1.0";

  private static final int MAX_MESSAGE_BYTES = 64 << 20;

  private final Caller caller;
  private final ScheduledExecutorService timer;
  private final String uri;
  private final Runs runs;
  private final Metrics metrics;
  private final Artifacts artifacts;
  private final Models models;
  private volatile GetServerInfoResponse info;

  private RunwireClient(Builder settings) {
    TrackingUri found = TrackingUri.parse(settings.uri);
    Tls tls = new Tls(settings.caFile);
    timer = Executors.newSingleThreadScheduledExecutor(Threads.named("runwire-timer"));
    uri = found.text();
    ManagedChannel channel = channel(found, tls, settings);
    caller = new Caller(channel, settings.timeout, settings.workspace, "java/" + VERSION, timer);
    runs = new Runs(caller);
    metrics = new Metrics(caller);
    artifacts = new Artifacts(caller);
    models = new Models(caller);
  }

  /**
   * A client with what the environment says: RUNWIRE_TRACKING_URI, RUNWIRE_TOKEN,
   * RUNWIRE_TIMEOUT_S, RUNWIRE_WORKSPACE, RUNWIRE_USER, RUNWIRE_CA_FILE.
   *
   * @return a new client
   */
  public static RunwireClient connect() {
    return builder().build();
  }

  /**
   * A client of one server.
   *
   * @param uri {@code grpc://HOST:5001[,HOST:5001]}, {@code grpcs://…}, or {@code
   *     http(s)://HOST:5000}, where the gRPC port is asked for
   * @return a new client
   */
  public static RunwireClient connect(String uri) {
    return builder().uri(uri).build();
  }

  /**
   * To set more than the URI.
   *
   * @return with what the environment says
   */
  public static Builder builder() {
    return new Builder(System.getenv());
  }

  /**
   * Runs: create, find, finish, and what is noted of them.
   *
   * @return the same each time
   */
  public Runs runs() {
    return runs;
  }

  /**
   * Points of metrics, to read.
   *
   * @return the same each time
   */
  public Metrics metrics() {
    return metrics;
  }

  /**
   * Files of runs.
   *
   * @return the same each time
   */
  public Artifacts artifacts() {
    return artifacts;
  }

  /**
   * The model registry.
   *
   * @return the same each time
   */
  public Models models() {
    return models;
  }

  /**
   * A writer of metrics with the default settings.
   *
   * @param runId which run
   * @return open; close it to wait for what it holds
   */
  public MetricWriter writer(String runId) {
    return writer(runId, MetricWriter.Options.defaults());
  }

  /**
   * A writer of metrics.
   *
   * @param runId which run
   * @param options when it sends, and how much it may hold
   * @return open; close it to wait for what it holds
   */
  public MetricWriter writer(String runId, MetricWriter.Options options) {
    return new MetricWriter(caller, runId, options);
  }

  /**
   * Follows what references to models mean.
   *
   * @param references as in {@link Models#resolve(String)}
   * @return to be started with {@link ModelWatcher.Builder#start()}
   */
  public ModelWatcher.Builder watchModels(String... references) {
    return new ModelWatcher.Builder(caller, java.util.List.of(references));
  }

  /**
   * Version, features and limits of the server; asked for once.
   *
   * @return as the server told
   */
  public GetServerInfoResponse serverInfo() {
    if (info == null) {
      info =
          caller.call(
              ServerServiceGrpc.getGetServerInfoMethod(),
              GetServerInfoRequest.getDefaultInstance());
    }
    return info;
  }

  /**
   * For the generated stubs: every call of the API, over this client's connection.
   *
   * @return closed with the client
   */
  public Channel channel() {
    return caller.channel;
  }

  /** Where it was told to go. */
  @Override
  public String toString() {
    return "RunwireClient(" + uri + ")";
  }

  /** Ends its connection; what is under way fails. */
  @Override
  public void close() {
    timer.shutdown(); // what waits for another attempt still makes it, and fails
    caller.channel.shutdownNow();
    try {
      caller.channel.awaitTermination(5, TimeUnit.SECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static ManagedChannel channel(TrackingUri uri, Tls tls, Builder settings) {
    TrackingUri servers = uri;
    if (uri.isWeb()) {
      HostPort found = Discovery.ask(uri, uri.isSecure() ? tls.sockets() : null);
      servers = new TrackingUri(uri.scheme(), java.util.List.of(found), uri.text());
    }
    return Grpc.newChannelBuilder(
            Endpoints.target(servers.servers()),
            uri.isSecure() ? tls.credentials() : InsecureChannelCredentials.create())
        .nameResolverFactory(new Endpoints(servers.servers()))
        .defaultLoadBalancingPolicy("round_robin")
        .disableRetry()
        .maxInboundMessageSize(MAX_MESSAGE_BYTES)
        .userAgent("runwire-java/" + VERSION)
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .intercept(new Headers("java/" + VERSION, settings.user, settings.token))
        .build();
  }

  /** What a client is made of. */
  public static final class Builder {
    private String uri;
    private String token;
    private String user;
    private String workspace;
    private String caFile;
    private Duration timeout;

    Builder(Map<String, String> environment) {
      uri = environment.getOrDefault("RUNWIRE_TRACKING_URI", "");
      token = environment.getOrDefault("RUNWIRE_TOKEN", "");
      user = environment.getOrDefault("RUNWIRE_USER", System.getProperty("user.name", ""));
      workspace = environment.getOrDefault("RUNWIRE_WORKSPACE", "");
      caFile = environment.getOrDefault("RUNWIRE_CA_FILE", "");
      timeout = seconds(environment.getOrDefault("RUNWIRE_TIMEOUT_S", "30"));
    }

    private static Duration seconds(String text) {
      try {
        double seconds = Double.parseDouble(text);
        if (seconds > 0 && seconds < 1e6) {
          return Duration.ofNanos((long) (seconds * 1e9));
        }
      } catch (NumberFormatException wrong) {
        // told below
      }
      throw RunwireException.invalid("RUNWIRE_TIMEOUT_S", "'" + text + "' is no number of seconds");
    }

    /**
     * Where the server is.
     *
     * @param uri see {@link RunwireClient#connect(String)}
     * @return this
     */
    public Builder uri(String uri) {
      this.uri = Objects.requireNonNull(uri);
      return this;
    }

    /**
     * The bearer token that is sent with every call.
     *
     * @param token empty: none
     * @return this
     */
    public Builder token(String token) {
      this.token = Objects.requireNonNull(token);
      return this;
    }

    /**
     * Who calls; the registry notes it.
     *
     * @param user the login name unless given
     * @return this
     */
    public Builder user(String user) {
      this.user = Objects.requireNonNull(user);
      return this;
    }

    /**
     * The workspace of experiments and models.
     *
     * @param workspace empty: "default"
     * @return this
     */
    public Builder workspace(String workspace) {
      this.workspace = Objects.requireNonNull(workspace);
      return this;
    }

    /**
     * The certificate authorities to trust, in PEM.
     *
     * @param file those of the system unless given
     * @return this
     */
    public Builder caFile(File file) {
      this.caFile = file.getPath();
      return this;
    }

    /**
     * The deadline of a call, all attempts together.
     *
     * @param timeout 30 seconds unless given
     * @return this
     */
    public Builder timeout(Duration timeout) {
      if (timeout.isNegative() || timeout.isZero()) {
        throw RunwireException.invalid("timeout", timeout + " is no time to wait");
      }
      this.timeout = timeout;
      return this;
    }

    /**
     * Connects when the first call is made; a web port is asked for its gRPC port at once.
     *
     * @return a new client
     */
    public RunwireClient build() {
      return new RunwireClient(this);
    }
  }

  /** How a secure connection finds whom to trust. */
  private record Tls(String caFile) {
    ChannelCredentials credentials() {
      try {
        return caFile.isEmpty()
            ? TlsChannelCredentials.create()
            : TlsChannelCredentials.newBuilder().trustManager(new File(caFile)).build();
      } catch (IOException unreadable) {
        throw RunwireException.invalid("ca_file", unreadable.getMessage());
      }
    }

    javax.net.ssl.SSLSocketFactory sockets() {
      return caFile.isEmpty() ? null : Authorities.sockets(new File(caFile));
    }
  }
}
