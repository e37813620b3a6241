package dev.runwire;

import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** The messages of a stream, one asked for at a time: no more than one waits in memory. */
final class Responses<R> implements Iterator<R>, AutoCloseable {
  private final ClientCall<?, R> call;
  private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();
  private Object next;

  private record End(RunwireException error) {}

  Responses(ClientCall<?, R> call) {
    this.call = call;
  }

  ClientCall.Listener<R> listener() {
    return new ClientCall.Listener<>() {
      @Override
      public void onMessage(R message) {
        arrived.add(message);
      }

      @Override
      public void onClose(Status status, Metadata trailers) {
        arrived.add(new End(status.isOk() ? null : Errors.of(status.asRuntimeException(trailers))));
      }
    };
  }

  @Override
  public boolean hasNext() {
    if (next == null) {
      try {
        next = arrived.take();
      } catch (InterruptedException interrupted) {
        close();
        Thread.currentThread().interrupt();
        throw RunwireException.of(RunwireException.Code.CANCELLED, "the thread was interrupted");
      }
    }
    if (next instanceof End end) {
      if (end.error() != null) {
        throw end.error();
      }
      return false;
    }
    return true;
  }

  @Override
  @SuppressWarnings("unchecked")
  public R next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    R message = (R) next;
    next = null;
    call.request(1);
    return message;
  }

  @Override
  public void close() {
    call.cancel("the reader has closed it", null);
  }
}
