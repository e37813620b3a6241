package dev.runwire;

import dev.runwire.RunwireException.Code;
import dev.runwire.v1.ModelVersion;
import dev.runwire.v1.RegistryServiceGrpc;
import dev.runwire.v1.ResolveModelsResponse;
import dev.runwire.v1.WatchModelsRequest;
import dev.runwire.v1.WatchModelsResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Knows what references to models mean, and hears of it when that changes. Answers come from
 * memory; a thread follows the registry over restarts and outages of the server, during which the
 * last answers stay. Close it, or use it in a try-with-resources block.
 */
public final class ModelWatcher implements AutoCloseable {
  private static final Pattern REFERENCE = Pattern.compile("([^@/]+)[@/].+", Pattern.DOTALL);
  private static final int MAX_REFERENCES = 1000;
  private static final double FIRST_DELAY_S = 0.25;
  private static final double MAX_DELAY_S = 5.0;

  /**
   * A reference means another version now.
   *
   * @param reference as it was given
   * @param before null: it meant nothing, or it is the first answer
   * @param now null: it means nothing
   * @param error why it means nothing; else null
   */
  public record Change(
      String reference, ModelVersion before, ModelVersion now, RunwireException error) {}

  private final Caller caller;
  private final Models models;
  private final List<String> references;
  private final Consumer<Change> onChange;
  private final ExecutorService callbacks =
      Executors.newSingleThreadExecutor(Threads.named("runwire-models-told"));
  private final Thread follower = Threads.named("runwire-models").newThread(this::follow);
  private final CountDownLatch ready = new CountDownLatch(1);
  private final Map<String, ResolveModelsResponse.Resolved> told = new HashMap<>();
  private volatile Map<String, ResolveModelsResponse.Resolved> meanings = Map.of();
  private volatile boolean isConnected;
  private volatile boolean isClosed;
  private volatile long confirmedAt;
  private volatile RunwireException error;
  private volatile Responses<WatchModelsResponse> responses;
  private long revision;

  private ModelWatcher(Builder settings) {
    caller = settings.caller;
    models = new Models(caller);
    references = List.copyOf(new LinkedHashSet<>(settings.references));
    onChange = settings.onChange;
    check(references);
  }

  private static void check(List<String> references) {
    if (references.isEmpty() || references.size() > MAX_REFERENCES) {
      throw RunwireException.invalid("references", "1 to " + MAX_REFERENCES);
    }
    for (String reference : references) {
      if (!REFERENCE.matcher(reference).matches()) {
        throw RunwireException.invalid(
            "references", "'" + reference + "' is not MODEL@ALIAS or MODEL/VERSION");
      }
    }
  }

  /** What a watcher is made of. */
  public static final class Builder {
    private final Caller caller;
    private final List<String> references;
    private Consumer<Change> onChange;

    Builder(Caller caller, List<String> references) {
      this.caller = caller;
      this.references = references;
    }

    /**
     * What is called with each change, first with what each reference means at the start; several
     * changes while it runs are one.
     *
     * @param callback called by a thread of its own, one change at a time
     * @return this
     */
    public Builder onChange(Consumer<Change> callback) {
      onChange = callback;
      return this;
    }

    /**
     * Begins to follow.
     *
     * @return a new watcher
     * @throws RunwireException INVALID_ARGUMENT for what can never mean anything
     */
    public ModelWatcher start() {
      ModelWatcher made = new ModelWatcher(this);
      made.follower.start();
      return made;
    }
  }

  /**
   * The version that a reference means, as far as is known; without any I/O.
   *
   * @param reference one of those that are watched
   * @return the version
   * @throws RunwireException NOT_FOUND while it means nothing, UNAVAILABLE while nothing was heard
   */
  public ModelVersion get(String reference) {
    ResolveModelsResponse.Resolved found = meanings.get(reference);
    if (found == null) {
      if (!references.contains(reference)) {
        throw RunwireException.invalid("reference", "'" + reference + "' is not watched");
      }
      RunwireException known = error;
      throw known != null
          ? known
          : RunwireException.of(Code.UNAVAILABLE, "nothing was heard of " + reference + " yet");
    }
    if (found.hasFault()) {
      throw Errors.of(found.getFault());
    }
    return found.getModelVersion();
  }

  /**
   * Whether a server tells of changes now.
   *
   * @return false during an outage
   */
  public boolean isConnected() {
    return isConnected;
  }

  /**
   * How long ago the answers were last known to be right.
   *
   * @return empty: there are none
   */
  public Optional<Duration> age() {
    return confirmedAt == 0
        ? Optional.empty()
        : Optional.of(Duration.ofNanos(System.nanoTime() - confirmedAt));
  }

  /**
   * Waits until there are answers.
   *
   * @param timeout for how long
   * @return false: not in this time
   * @throws InterruptedException where the thread is interrupted
   */
  public boolean awaitReady(Duration timeout) throws InterruptedException {
    return ready.await(Waiting.nanos(timeout), TimeUnit.NANOSECONDS);
  }

  /** Ends its threads; the answers stay. */
  @Override
  public void close() {
    isClosed = true;
    Responses<WatchModelsResponse> open = responses;
    if (open != null) {
      open.close();
    }
    follower.interrupt();
    callbacks.shutdown();
  }

  /** Waits until it follows no more. */
  void join() throws InterruptedException {
    follower.join();
  }

  // The thread ---------------------------------------------------------------------------

  private void follow() {
    try {
      followOn();
    } catch (InterruptedException closed) {
      // by close
    } finally {
      callbacks.shutdown();
    }
  }

  private void followOn() throws InterruptedException {
    int failures = 0;
    while (!isClosed) {
      RunwireException ended = followOnce();
      failures = isConnected ? 1 : failures + 1;
      isConnected = false;
      if (caller.isClosed()) {
        error = Caller.closed();
        return;
      }
      if (ended != null) {
        error = ended;
      }
      double delay = Retry.backoffSeconds(ended, failures + 1, FIRST_DELAY_S, MAX_DELAY_S);
      TimeUnit.NANOSECONDS.sleep((long) (delay * 1e9));
    }
  }

  private RunwireException followOnce() {
    WatchModelsRequest.Builder request =
        WatchModelsRequest.newBuilder()
            .setWorkspace(caller.workspace)
            .addAllModels(models())
            .setLastOnly(true);
    if (revision != 0) {
      request.setAfterRevision(revision);
    }
    try (Responses<WatchModelsResponse> open =
        caller.stream(RegistryServiceGrpc.getWatchModelsMethod(), request.build())) {
      responses = open;
      while (!isClosed && open.hasNext()) {
        WatchModelsResponse response = open.next();
        if (response.hasExpired()) {
          revision = 0;
          return null;
        }
        hear(response);
      }
      return null;
    } catch (RuntimeException ended) { // whatever it is, the last answers are served on
      return Errors.of(ended);
    }
  }

  private TreeSet<String> models() {
    TreeSet<String> names = new TreeSet<>();
    for (String reference : references) {
      Matcher found = REFERENCE.matcher(reference);
      if (found.matches()) {
        names.add(found.group(1));
      }
    }
    return names;
  }

  /** Asks again on any news: so it need not know what a change does to a reference. */
  private void hear(WatchModelsResponse response) {
    boolean isNews = response.getRevision() > revision && !response.hasMark();
    if (isNews || !isConnected) {
      take(ask(response.getRevision()));
    }
    revision = Math.max(revision, response.getRevision());
    confirmedAt = System.nanoTime();
    isConnected = true;
    error = null;
    ready.countDown();
  }

  private ResolveModelsResponse ask(long atLeast) {
    try {
      return whole(models.resolveAll(references, atLeast), atLeast);
    } catch (RunwireException other) {
      if (other.code() == Code.OUT_OF_RANGE) {
        revision = 0; // the registry has another past now
      }
      throw other;
    }
  }

  /** What did not fit into an answer with the others is asked for again, alone. */
  private ResolveModelsResponse whole(ResolveModelsResponse answer, long atLeast) {
    Map<String, ResolveModelsResponse.Resolved> found = new LinkedHashMap<>();
    answer.getResolvedList().forEach(one -> found.put(one.getReference(), one));
    List<String> left = tooLarge(answer);
    int before = Integer.MAX_VALUE;
    while (!left.isEmpty() && left.size() < before) { // one that fits nowhere stays as it is
      before = left.size();
      ResolveModelsResponse more = models.resolveAll(left, atLeast);
      more.getResolvedList().forEach(one -> found.put(one.getReference(), one));
      left = tooLarge(more);
    }
    // The revision is that of the oldest answer: nothing that happened since is missed.
    return answer.toBuilder().clearResolved().addAllResolved(found.values()).build();
  }

  private static List<String> tooLarge(ResolveModelsResponse answer) {
    return answer.getResolvedList().stream()
        .filter(one -> one.getFault().getReason().equals("TOO_LARGE"))
        .map(ResolveModelsResponse.Resolved::getReference)
        .toList();
  }

  private void take(ResolveModelsResponse answer) {
    revision = Math.max(revision, answer.getRevision());
    Map<String, ResolveModelsResponse.Resolved> now = new LinkedHashMap<>();
    for (ResolveModelsResponse.Resolved one : answer.getResolvedList()) {
      now.put(one.getReference(), one);
    }
    meanings = now;
    if (onChange != null && !isClosed) {
      try {
        callbacks.execute(this::tell);
      } catch (java.util.concurrent.RejectedExecutionException closed) {
        // nobody wants to know any more
      }
    }
  }

  /** What changes several times meanwhile is told as it is in the end. */
  private void tell() {
    for (ResolveModelsResponse.Resolved now : meanings.values()) {
      ResolveModelsResponse.Resolved before = told.put(now.getReference(), now);
      if (isClosed || now.equals(before)) {
        continue;
      }
      try {
        onChange.accept(
            new Change(
                now.getReference(),
                before == null || before.hasFault() ? null : before.getModelVersion(),
                now.hasFault() ? null : now.getModelVersion(),
                now.hasFault() ? Errors.of(now.getFault()) : null));
      } catch (RuntimeException theirs) {
        System.getLogger("dev.runwire")
            .log(System.Logger.Level.WARNING, "a callback failed", theirs);
      }
    }
  }
}
