package dev.runwire;

import com.google.protobuf.DescriptorProtos.MethodOptions.IdempotencyLevel;
import dev.runwire.RunwireException.Code;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.protobuf.ProtoMethodDescriptorSupplier;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * One door to the services: deadlines, retries, typed errors. What may be tried again is not
 * decided here: the {@code idempotency_level} of the method in the protos says it.
 */
final class Caller {
  final ManagedChannel channel;
  final String workspace;
  final String about;
  final ScheduledExecutorService timer;
  private final Duration timeout;

  Caller(
      ManagedChannel channel,
      Duration timeout,
      String workspace,
      String about,
      ScheduledExecutorService timer) {
    this.channel = channel;
    this.timeout = timeout;
    this.workspace = workspace;
    this.about = about;
    this.timer = timer;
  }

  <Q, R> R call(MethodDescriptor<Q, R> method, Q request) {
    return await(callAsync(method, request, timeout));
  }

  <Q, R> R call(MethodDescriptor<Q, R> method, Q request, Duration within) {
    return await(callAsync(method, request, within));
  }

  <Q, R> CompletableFuture<R> callAsync(MethodDescriptor<Q, R> method, Q request) {
    return callAsync(method, request, timeout);
  }

  /** One answer within a time, all attempts together. Cancelling it cancels the call. */
  <Q, R> CompletableFuture<R> callAsync(MethodDescriptor<Q, R> method, Q request, Duration within) {
    long deadline = System.nanoTime() + Waiting.nanos(within);
    Attempts<Q, R> attempts = new Attempts<>(method, request, deadline);
    attempts.begin();
    return attempts.answer;
  }

  /** Waits for an answer; throws what it failed with. An interrupt cancels it. */
  static <R> R await(CompletableFuture<R> answer) {
    try {
      return answer.get();
    } catch (InterruptedException interrupted) {
      answer.cancel(true);
      Thread.currentThread().interrupt();
      throw RunwireException.of(Code.CANCELLED, "the thread was interrupted");
    } catch (java.util.concurrent.ExecutionException failed) {
      throw Errors.of(failed.getCause());
    } catch (java.util.concurrent.CancellationException cancelled) {
      throw Errors.of(cancelled);
    }
  }

  /** Answers one after the other; close it where it is not read to its end. */
  <Q, R> Responses<R> stream(MethodDescriptor<Q, R> method, Q request) {
    ClientCall<Q, R> call = open(method, CallOptions.DEFAULT);
    Responses<R> responses = new Responses<>(call);
    call.start(responses.listener(), new Metadata());
    call.sendMessage(request);
    call.halfClose();
    call.request(1);
    return responses;
  }

  /**
   * A call that is not held back by how long the server was away: gRPC would try to connect once in
   * two minutes after a long outage, and ours wait between their attempts themselves. Throws where
   * the client is closed: gRPC has no thread then that would tell how the call ended.
   */
  <Q, R> ClientCall<Q, R> open(MethodDescriptor<Q, R> method, CallOptions options) {
    if (isClosed()) {
      throw closed();
    }
    if (channel.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      channel.resetConnectBackoff();
    }
    return channel.newCall(method, options);
  }

  /** Whether its client was closed: gRPC tells that in several ways, also by what it throws. */
  boolean isClosed() {
    return channel.isShutdown();
  }

  static RunwireException closed() {
    return RunwireException.of(Code.CANCELLED, "the client is closed");
  }

  static boolean isRepeatable(MethodDescriptor<?, ?> method) {
    if (!method.getType().clientSendsOneMessage()) {
      return false;
    }
    Object schema = method.getSchemaDescriptor();
    return schema instanceof ProtoMethodDescriptorSupplier supplier
        && supplier.getMethodDescriptor().getOptions().getIdempotencyLevel()
            != IdempotencyLevel.IDEMPOTENCY_UNKNOWN;
  }

  private final class Attempts<Q, R> {
    final CompletableFuture<R> answer = new CompletableFuture<>();
    private final MethodDescriptor<Q, R> method;
    private final Q request;
    private final long deadline;
    private final Retry retry;
    private volatile ClientCall<Q, R> call;

    Attempts(MethodDescriptor<Q, R> method, Q request, long deadline) {
      this.method = method;
      this.request = request;
      this.deadline = deadline;
      this.retry = new Retry(deadline);
      answer.whenComplete(
          (done, error) -> {
            if (answer.isCancelled()) {
              cancel();
            }
          });
    }

    /** Whatever happens, there will be an answer: nobody hears what a timer's thread throws. */
    void begin() {
      if (answer.isDone()) {
        return;
      }
      try {
        attempt();
      } catch (RuntimeException refused) {
        answer.completeExceptionally(isClosed() ? closed() : Errors.of(refused));
      }
    }

    private void attempt() {
      long left = Math.max(1_000_000, deadline - System.nanoTime());
      call = open(method, CallOptions.DEFAULT.withDeadlineAfter(left, TimeUnit.NANOSECONDS));
      call.start(new Listener(), new Metadata());
      call.request(2); // a second message would be a fault, which must be seen
      call.sendMessage(request);
      call.halfClose();
      if (answer.isCancelled()) {
        cancel();
      }
    }

    private void cancel() {
      ClientCall<Q, R> begun = call;
      if (begun != null) {
        begun.cancel("the caller has cancelled", null);
      }
    }

    private void failed(RunwireException error) {
      var delay = isRepeatable(method) ? retry.delayNanos(error) : java.util.OptionalLong.empty();
      if (delay.isEmpty() || answer.isDone()) {
        answer.completeExceptionally(error);
        return;
      }
      try {
        timer.schedule(this::begin, delay.getAsLong(), TimeUnit.NANOSECONDS);
      } catch (RejectedExecutionException closed) { // the client
        answer.completeExceptionally(error);
      }
    }

    private final class Listener extends ClientCall.Listener<R> {
      private R message;

      @Override
      public void onMessage(R received) {
        message = received;
      }

      @Override
      public void onClose(Status status, Metadata trailers) {
        if (status.isOk() && message != null) {
          answer.complete(message);
        } else {
          failed(Errors.of(status.asRuntimeException(trailers)));
        }
      }
    }
  }
}
