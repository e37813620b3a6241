package dev.runwire;

import dev.runwire.Backlog.Sealed;
import dev.runwire.RunwireException.Code;
import dev.runwire.v1.MetricServiceGrpc;
import dev.runwire.v1.StreamBatchesRequest;
import dev.runwire.v1.StreamBatchesResponse;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.TimeUnit;

/** One StreamBatches call: several batches under way, until there is nothing more to send. */
final class BatchStream {
  private static final int WINDOW_BATCHES = 8;
  // An idle stream is a thread of the server: it is given back.
  private static final long IDLE_NANOS = TimeUnit.SECONDS.toNanos(2);
  private static final long OPEN_NANOS = TimeUnit.SECONDS.toNanos(20);
  // Without a word for so long while batches are under way, the server is gone.
  private static final long SILENCE_NANOS = TimeUnit.SECONDS.toNanos(60);

  private final Caller caller;
  private final String runId;
  private final String writerId;
  private final Backlog backlog;
  private final BatchSender sender;
  private ClientCall<StreamBatchesRequest, StreamBatchesResponse> call;
  private volatile boolean isOpened;
  private volatile boolean isClosing;
  private volatile boolean isOver;
  private volatile RunwireException failure;
  private volatile long heardAt = System.nanoTime();

  BatchStream(Caller caller, String runId, String writerId, Backlog backlog, BatchSender sender) {
    this.caller = caller;
    this.runId = runId;
    this.writerId = writerId;
    this.backlog = backlog;
    this.sender = sender;
  }

  /** Returns when it is over; throws what it failed with. */
  void run() throws InterruptedException {
    call = caller.open(MetricServiceGrpc.getStreamBatchesMethod(), CallOptions.DEFAULT);
    call.start(new Listener(), new Metadata());
    call.request(1);
    call.sendMessage(
        StreamBatchesRequest.newBuilder()
            .setOpen(
                StreamBatchesRequest.Open.newBuilder()
                    .setRunId(runId)
                    .setWriterId(writerId)
                    .setClient(caller.about))
            .build());
    try {
      send();
    } finally {
      call.cancel("it is over", null);
    }
    if (failure != null) {
      throw failure;
    }
  }

  private void send() throws InterruptedException {
    await(OPEN_NANOS, () -> isOpened);
    long sent = backlog.acknowledged();
    long sentAt = 0;
    long busyAt = System.nanoTime();
    while (true) {
      long seen = backlog.news();
      if (isOver || isClosing || backlog.isClosed()) {
        break;
      }
      Sealed next = backlog.after(sent);
      long acknowledged = backlog.acknowledged();
      long pause = sentAt + sender.minIntervalNanos() - System.nanoTime();
      if (next != null
          && pause <= 0
          && call.isReady()
          && hasRoom(next.sequence - acknowledged - 1)) {
        call.sendMessage(StreamBatchesRequest.newBuilder().setBatch(next.message()).build());
        sent = next.sequence;
        sentAt = busyAt = System.nanoTime();
        continue;
      }
      long now = System.nanoTime();
      if (next == null && sent <= acknowledged && now - busyAt > IDLE_NANOS) {
        break;
      }
      if (sent > acknowledged && now - Math.max(heardAt, sentAt) > SILENCE_NANOS) {
        throw RunwireException.of(Code.UNAVAILABLE, "the server has fallen silent");
      }
      backlog.await(seen, next != null && pause > 0 ? pause : IDLE_NANOS);
    }
    call.halfClose();
    if (!backlog.isClosed()) {
      await(OPEN_NANOS, () -> isOver);
    }
  }

  private boolean hasRoom(long underWay) {
    int most = sender.maxUnacked() == 0 ? WINDOW_BATCHES : sender.maxUnacked();
    return underWay < Math.min(most, WINDOW_BATCHES);
  }

  private void await(long nanos, java.util.function.BooleanSupplier done)
      throws InterruptedException {
    long end = System.nanoTime() + nanos;
    while (true) {
      long seen = backlog.news();
      if (done.getAsBoolean() || isOver || backlog.isClosed()) {
        return;
      }
      long left = end - System.nanoTime();
      if (left <= 0) {
        throw RunwireException.of(Code.UNAVAILABLE, "the server does not answer");
      }
      backlog.await(seen, left);
    }
  }

  private final class Listener extends ClientCall.Listener<StreamBatchesResponse> {
    @Override
    public void onMessage(StreamBatchesResponse response) {
      heardAt = System.nanoTime();
      sender.heard();
      switch (response.getMessageCase()) {
        case OPENED -> {
          backlog.acknowledge(response.getOpened().getCommittedSequence());
          sender.take(response.getOpened().getAdvice());
          isOpened = true;
        }
        case ACK -> sender.take(response.getAck());
        case ADVICE -> sender.take(response.getAdvice());
        case CLOSING -> isClosing = true;
        default -> {}
      }
      call.request(1);
      backlog.wake();
    }

    @Override
    public void onReady() {
      backlog.wake();
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      if (!status.isOk()) {
        failure = Errors.of(status.asRuntimeException(trailers));
      }
      isOver = true;
      backlog.wake();
    }
  }
}
