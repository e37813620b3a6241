package dev.runwire;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.runwire.RunwireException.Code;
import dev.runwire.v1.Fault;
import io.grpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;

/** From what gRPC throws, and from faults inside of answers, to {@link RunwireException}. */
final class Errors {
  private static final String DOMAIN = "runwire.v1";

  private static final Map<String, Code> CODE_OF_REASON =
      Map.ofEntries(
          Map.entry("NOT_FOUND", Code.NOT_FOUND),
          Map.entry("DELETED", Code.NOT_FOUND),
          Map.entry("FIELD_INVALID", Code.INVALID_ARGUMENT),
          Map.entry("DIGEST_MISMATCH", Code.INVALID_ARGUMENT),
          Map.entry("CHECKSUM_MISMATCH", Code.INVALID_ARGUMENT),
          Map.entry("PARAM_CONFLICT", Code.FAILED_PRECONDITION),
          Map.entry("TOO_LARGE", Code.RESOURCE_EXHAUSTED),
          Map.entry("QUOTA", Code.RESOURCE_EXHAUSTED),
          Map.entry("STORAGE_UNAVAILABLE", Code.UNAVAILABLE));

  private Errors() {}

  static RunwireException of(Throwable error) {
    Throwable found = error;
    while (found instanceof CompletionException && found.getCause() != null) {
      found = found.getCause();
    }
    if (found instanceof RunwireException known) {
      return known;
    }
    if (found instanceof CancellationException) {
      return RunwireException.of(Code.CANCELLED, "the call was cancelled");
    }
    return of(Status.fromThrowable(found), found);
  }

  private static RunwireException of(Status status, Throwable cause) {
    String reason = "";
    Map<String, String> metadata = Map.of();
    Duration retryAfter = null;
    com.google.rpc.Status told = StatusProto.fromThrowable(cause);
    for (Any detail : told == null ? java.util.List.<Any>of() : told.getDetailsList()) {
      try {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          if (info.getDomain().equals(DOMAIN)) {
            reason = info.getReason();
            metadata = info.getMetadataMap();
          }
        } else if (detail.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      } catch (InvalidProtocolBufferException damaged) {
        // The code and the message are still worth telling.
      }
    }
    String message = status.getDescription();
    return new RunwireException(
        codeOf(status),
        reason,
        message == null ? status.getCode().name() : message,
        metadata,
        retryAfter,
        cause);
  }

  private static Code codeOf(Status status) {
    return status.isOk() ? Code.UNKNOWN : Code.valueOf(status.getCode().name());
  }

  /** The error of one entry of a batch, as a call of its own would have thrown it. */
  static RunwireException of(Fault fault) {
    return new RunwireException(
        CODE_OF_REASON.getOrDefault(fault.getReason(), Code.UNKNOWN),
        fault.getReason(),
        fault.getMessage(),
        fault.getMetadataMap(),
        null,
        null);
  }

  /** Whether the same call may succeed in a moment. A full disk is no passing fault. */
  static boolean isPassing(RunwireException error) {
    if (error.code() == Code.RESOURCE_EXHAUSTED) {
      return error.retryAfter().isPresent();
    }
    return error.code() == Code.UNAVAILABLE && !error.reason().equals("STORAGE_UNAVAILABLE");
  }
}
