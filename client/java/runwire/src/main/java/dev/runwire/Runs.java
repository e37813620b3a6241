package dev.runwire;

import com.google.protobuf.Timestamp;
import dev.runwire.v1.CreateRunRequest;
import dev.runwire.v1.CreateRunResponse;
import dev.runwire.v1.DeleteRunRequest;
import dev.runwire.v1.FinishRunRequest;
import dev.runwire.v1.Frame;
import dev.runwire.v1.GetRunRequest;
import dev.runwire.v1.GetRunResponse;
import dev.runwire.v1.LogBatchRequest;
import dev.runwire.v1.MetricBatch;
import dev.runwire.v1.MetricServiceGrpc;
import dev.runwire.v1.Rejection;
import dev.runwire.v1.ResumeRunRequest;
import dev.runwire.v1.Run;
import dev.runwire.v1.RunServiceGrpc;
import dev.runwire.v1.SearchRunsRequest;
import dev.runwire.v1.SearchRunsResponse;
import dev.runwire.v1.SeriesName;
import dev.runwire.v1.StopRunRequest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/** Runs. Every call is safe to repeat, and is repeated where an answer was lost. */
public final class Runs {
  private final Caller caller;

  Runs(Caller caller) {
    this.caller = caller;
  }

  /**
   * Makes a run, RUNNING from now on.
   *
   * @param experimentName made where it is missing
   * @return as the server keeps it
   */
  public Run create(String experimentName) {
    return create(experimentName, Run.getDefaultInstance());
  }

  /**
   * Makes a run.
   *
   * @param experimentName made where it is missing
   * @param about name, params, tags and so on; a {@code run_id} is chosen where it has none
   * @return as the server keeps it; the one that is there, where its id is
   */
  public Run create(String experimentName, Run about) {
    return Caller.await(createAsync(experimentName, about)).getRun();
  }

  /**
   * Makes a run, without waiting for it.
   *
   * @param experimentName made where it is missing
   * @param about as in {@link #create(String, Run)}
   * @return the server's answer
   */
  public CompletableFuture<CreateRunResponse> createAsync(String experimentName, Run about) {
    String id = about.getRunId().isEmpty() ? newId() : about.getRunId();
    return caller.callAsync(
        RunServiceGrpc.getCreateRunMethod(),
        CreateRunRequest.newBuilder()
            .setRun(about.toBuilder().setRunId(id))
            .setExperimentName(experimentName)
            .setWorkspace(caller.workspace)
            .build());
  }

  /**
   * A run with its params and tags.
   *
   * @param runId 32 hex digits
   * @return as it is now
   */
  public Run get(String runId) {
    return Caller.await(getAsync(runId)).getRun();
  }

  /**
   * A run, within a time.
   *
   * @param runId 32 hex digits
   * @param timeout all attempts together
   * @return as it is now
   */
  public Run get(String runId, Duration timeout) {
    return caller.call(RunServiceGrpc.getGetRunMethod(), getRequest(runId), timeout).getRun();
  }

  /**
   * A run, without waiting for it.
   *
   * @param runId 32 hex digits
   * @return the server's answer; cancelling it cancels the call
   */
  public CompletableFuture<GetRunResponse> getAsync(String runId) {
    return caller.callAsync(RunServiceGrpc.getGetRunMethod(), getRequest(runId));
  }

  private static GetRunRequest getRequest(String runId) {
    return GetRunRequest.newBuilder().setRunId(runId).build();
  }

  /**
   * Runs that a filter finds, for instance {@code metrics.loss < 0.1 AND params.layers = '3'}.
   *
   * @param filter empty: all
   * @return in pages, fetched as they are walked through; {@link Iterable#iterator()} starts anew
   */
  public Iterable<Run> search(String filter) {
    return search(SearchRunsRequest.newBuilder().setFilter(filter).build());
  }

  /**
   * Runs of some experiments, in order.
   *
   * @param request all that can be asked; its page size is how many are fetched at once
   * @return in pages, fetched as they are walked through
   */
  public Iterable<Run> search(SearchRunsRequest request) {
    SearchRunsRequest asked =
        request.getWorkspace().isEmpty()
            ? request.toBuilder().setWorkspace(caller.workspace).build()
            : request;
    return new Pages<>(
        token ->
            caller.call(
                RunServiceGrpc.getSearchRunsMethod(),
                asked.toBuilder().setPageToken(token).build()),
        SearchRunsResponse::getRunsList,
        SearchRunsResponse::getNextPageToken);
  }

  /**
   * Notes params, which are written once.
   *
   * @param runId which run
   * @param params by key
   * @return what could not be kept, and why; the rest is
   */
  public List<Rejection> logParams(String runId, Map<String, String> params) {
    return log(runId, MetricBatch.newBuilder().putAllParams(params));
  }

  /**
   * Sets tags; the last write wins.
   *
   * @param runId which run
   * @param tags by key
   * @return what could not be kept, and why; the rest is
   */
  public List<Rejection> logTags(String runId, Map<String, String> tags) {
    return log(runId, MetricBatch.newBuilder().putAllTags(tags));
  }

  /**
   * Stores one row of values, durably: a call of the network each. Training code wants a {@link
   * MetricWriter}.
   *
   * @param runId which run
   * @param step of all of them
   * @param values by key
   * @return what could not be kept, and why; the rest is
   */
  public List<Rejection> logMetrics(String runId, long step, Map<String, Double> values) {
    MetricBatch.Builder batch = MetricBatch.newBuilder();
    Frame.Builder frame = batch.addFramesBuilder().addSteps(step).addTimesMicros(nowMicros());
    for (Map.Entry<String, Double> one : values.entrySet()) {
      int id = batch.getSeriesCount() + 1;
      batch.addSeries(SeriesName.newBuilder().setId(id).setKey(one.getKey()));
      frame.addSeries(id).addValues(one.getValue());
    }
    return log(runId, batch);
  }

  /** With a writer of its own: a repeat after a lost answer is not stored a second time. */
  private List<Rejection> log(String runId, MetricBatch.Builder batch) {
    return caller
        .call(
            MetricServiceGrpc.getLogBatchMethod(),
            LogBatchRequest.newBuilder()
                .setRunId(runId)
                .setWriterId(newId())
                .setBatch(batch.setSequence(1))
                .build())
        .getAck()
        .getRejectionsList();
  }

  /**
   * Ends a run.
   *
   * @param runId which run
   * @return as it is now
   */
  public Run finish(String runId) {
    return finish(runId, Run.State.STATE_FINISHED);
  }

  /**
   * Ends a run in a state.
   *
   * @param runId which run
   * @param state FINISHED, FAILED or KILLED
   * @return as it is now
   */
  public Run finish(String runId, Run.State state) {
    return caller
        .call(
            RunServiceGrpc.getFinishRunMethod(),
            FinishRunRequest.newBuilder().setRunId(runId).setState(state).setEndTime(now()).build())
        .getRun();
  }

  /**
   * Opens a run again that was ended.
   *
   * @param runId which run
   * @return as it is now
   */
  public Run resume(String runId) {
    return caller
        .call(
            RunServiceGrpc.getResumeRunMethod(),
            ResumeRunRequest.newBuilder().setRunId(runId).build())
        .getRun();
  }

  /**
   * Asks a run to stop: its writers hear of it.
   *
   * @param runId which run
   * @param reason for people
   * @return as it is now
   */
  public Run stop(String runId, String reason) {
    return caller
        .call(
            RunServiceGrpc.getStopRunMethod(),
            StopRunRequest.newBuilder().setRunId(runId).setReason(reason).build())
        .getRun();
  }

  /**
   * Puts a run in the trash.
   *
   * @param runId which run
   */
  public void delete(String runId) {
    caller.call(
        RunServiceGrpc.getDeleteRunMethod(), DeleteRunRequest.newBuilder().setRunId(runId).build());
  }

  static String newId() {
    return UUID.randomUUID().toString().replace("-", "");
  }

  static long nowMicros() {
    Instant now = Instant.now();
    return now.getEpochSecond() * 1_000_000 + now.getNano() / 1000;
  }

  private static Timestamp now() {
    Instant now = Instant.now();
    return Timestamp.newBuilder().setSeconds(now.getEpochSecond()).setNanos(now.getNano()).build();
  }
}
