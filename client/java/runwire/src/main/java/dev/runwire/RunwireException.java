package dev.runwire;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * Anything that went wrong between this program and its tracking server.
 *
 * <p>{@link #code()} says what may be done about it, {@link #reason()} what exactly it was.
 */
public final class RunwireException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The kind of an error: those of gRPC. */
  public enum Code {
    /** The call was cancelled, here or on the way. */
    CANCELLED,
    /** Nobody knows. */
    UNKNOWN,
    /** An argument can never be right: {@code metadata().get("field")} names it. */
    INVALID_ARGUMENT,
    /** No answer within the deadline; it may have happened all the same. */
    DEADLINE_EXCEEDED,
    /** It does not exist, or (reason DELETED) is in the trash. */
    NOT_FOUND,
    /** The name or id is taken. */
    ALREADY_EXISTS,
    /** Whoever asked is known, and may not. */
    PERMISSION_DENIED,
    /** Too large (TOO_LARGE) or over a quota (QUOTA). */
    RESOURCE_EXHAUSTED,
    /** The state of the thing does not allow it: a finished run, a sealed tree. */
    FAILED_PRECONDITION,
    /** Somebody was faster: read again, then decide again. */
    ABORTED,
    /** Go on from the position that the metadata tells. */
    OUT_OF_RANGE,
    /** This server does not offer it. */
    UNIMPLEMENTED,
    /** A fault of the server, or of what stands between. */
    INTERNAL,
    /** The server is away, restarting or overloaded; the same call may work later. */
    UNAVAILABLE,
    /** Stored data is damaged and cannot be read. */
    DATA_LOSS,
    /** The server does not know who asks. */
    UNAUTHENTICATED,
  }

  /** What kind of error it is. */
  private final Code code;

  /** The name of an ErrorReason, or empty. */
  private final String reason;

  private final transient Map<String, String> metadata;

  /** When the server wants to be asked again, or null. */
  private final Duration retryAfter;

  RunwireException(
      Code code,
      String reason,
      String message,
      Map<String, String> metadata,
      Duration retryAfter,
      Throwable cause) {
    super(message, cause);
    this.code = code;
    this.reason = reason;
    this.metadata = Map.copyOf(metadata);
    this.retryAfter = retryAfter;
  }

  /**
   * What kind of error it is.
   *
   * @return never null
   */
  public Code code() {
    return code;
  }

  /**
   * The name of an {@code ErrorReason} without its prefix.
   *
   * @return empty where the transport failed and not the service
   */
  public String reason() {
    return reason;
  }

  /**
   * What the message names: "field", "key", "kind", "version" and so on, see error.proto.
   *
   * @return never null
   */
  public Map<String, String> metadata() {
    return metadata == null ? Map.of() : metadata;
  }

  /**
   * When the server wants to be asked again.
   *
   * @return empty where it did not say
   */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /**
   * What a future of this client failed with, as one of these.
   *
   * @param error of a {@code CompletableFuture}, or of a call of the generated stubs
   * @return never null
   */
  public static RunwireException from(Throwable error) {
    return Errors.of(error);
  }

  static RunwireException of(Code code, String message) {
    return new RunwireException(code, "", message, Map.of(), null, null);
  }

  static RunwireException invalid(String field, String problem) {
    return new RunwireException(
        Code.INVALID_ARGUMENT,
        "FIELD_INVALID",
        field + ": " + problem,
        Map.of("field", field),
        null,
        null);
  }
}
