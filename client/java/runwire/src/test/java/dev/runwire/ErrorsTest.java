package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;

class ErrorsTest {
  private static StatusRuntimeException failure(int code, String domain, String reason) {
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code)
            .setMessage("said")
            .addDetails(
                Any.pack(
                    ErrorInfo.newBuilder()
                        .setDomain(domain)
                        .setReason(reason)
                        .putMetadata("key", "value")
                        .build()))
            .addDetails(
                Any.pack(
                    RetryInfo.newBuilder()
                        .setRetryDelay(
                            com.google.protobuf.Duration.newBuilder().setNanos(5_000_000))
                        .build()))
            .build());
  }

  @Test
  void detailsArriveWithTheError() {
    RunwireException error =
        Errors.of(new CompletionException(failure(14, "runwire.v1", "DRAINING")));
    assertEquals(RunwireException.Code.UNAVAILABLE, error.code());
    assertEquals("DRAINING", error.reason());
    assertEquals("value", error.metadata().get("key"));
    assertEquals(Optional.of(Duration.ofMillis(5)), error.retryAfter());
    assertEquals("said", error.getMessage());
  }

  @Test
  void reasonOfAnotherDomainIsNotOurs() {
    assertEquals("", Errors.of(failure(5, "example.com", "NOT_FOUND")).reason());
  }

  @Test
  void fullDiskIsNoPassingFault() {
    assertTrue(Errors.isPassing(Errors.of(failure(14, "runwire.v1", "OVERLOADED"))));
    assertFalse(Errors.isPassing(Errors.of(failure(14, "runwire.v1", "STORAGE_UNAVAILABLE"))));
    assertFalse(Errors.isPassing(Errors.of(failure(5, "runwire.v1", "NOT_FOUND"))));
  }

  @Test
  void retriesComeToAnEnd() {
    Retry retry = new Retry(System.nanoTime() + Duration.ofMinutes(1).toNanos());
    RunwireException error = Errors.of(failure(14, "runwire.v1", "DRAINING"));
    for (int attempt = 1; attempt < 5; attempt++) {
      assertTrue(retry.delayNanos(error).isPresent());
    }
    assertEquals(OptionalLong.empty(), retry.delayNanos(error));
  }

  @Test
  void noRetryGoesPastTheDeadline() {
    Retry retry = new Retry(System.nanoTime());
    assertEquals(
        OptionalLong.empty(), retry.delayNanos(Errors.of(failure(14, "runwire.v1", "DRAINING"))));
  }
}
