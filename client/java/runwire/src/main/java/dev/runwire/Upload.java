package dev.runwire;

import com.google.protobuf.UnsafeByteOperations;
import dev.runwire.RunwireException.Code;
import dev.runwire.v1.ArtifactServiceGrpc;
import dev.runwire.v1.Blob;
import dev.runwire.v1.Chunk;
import dev.runwire.v1.UploadBlobRequest;
import dev.runwire.v1.UploadBlobResponse;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.io.IOException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;

/** One blob, through cuts, from the byte that the server has acknowledged. */
final class Upload {
  private static final long SILENCE_S = 60;

  private final Caller caller;
  private final Source source;
  private final Blob blob;
  private final Artifacts.Progress progress;
  private final Patience patience = new Patience();
  private String uploadId = "";
  private long acknowledged;

  Upload(Caller caller, Source source, Blob blob, Artifacts.Progress progress) {
    this.caller = caller;
    this.source = source;
    this.blob = blob;
    this.progress = progress;
  }

  void run() throws IOException {
    while (true) {
      try {
        new Attempt().run();
        return;
      } catch (RunwireException error) {
        if (error.code() == Code.NOT_FOUND && !uploadId.isEmpty()) {
          uploadId = ""; // the server has forgotten it: once more from the start
          patience.wait(RunwireException.of(Code.UNAVAILABLE, error.getMessage()));
        } else {
          patience.wait(error);
        }
      }
    }
  }

  private void acknowledge(long size) {
    if (size > acknowledged) {
      patience.progress();
      acknowledged = size;
      progress.at(size, blob.getSizeBytes());
    }
  }

  private final class Attempt extends ClientCall.Listener<UploadBlobResponse> {
    private final BlockingQueue<UploadBlobResponse> arrived = new LinkedBlockingQueue<>();
    private final Semaphore ready = new Semaphore(0);
    private volatile RunwireException failure;
    private volatile boolean isOver;
    private ClientCall<UploadBlobRequest, UploadBlobResponse> call;

    void run() throws IOException {
      call = caller.open(ArtifactServiceGrpc.getUploadBlobMethod(), CallOptions.DEFAULT);
      call.start(this, new Metadata());
      call.request(Integer.MAX_VALUE); // answers are small and few
      try {
        send(
            UploadBlobRequest.newBuilder()
                .setOpen(
                    UploadBlobRequest.Open.newBuilder()
                        .setWorkspace(caller.workspace)
                        .setUploadId(uploadId)
                        .setBlob(blob)));
        UploadBlobResponse first = take();
        if (first.hasStored()) {
          return;
        }
        uploadId = first.getOpened().getUploadId();
        acknowledge(first.getOpened().getCommittedSize());
        sendChunks(first.getOpened().getCommittedSize(), first.getOpened().getChunkBytes());
        send(
            UploadBlobRequest.newBuilder()
                .setFinish(UploadBlobRequest.Finish.newBuilder().setBlob(blob)));
        call.halfClose();
        while (!hear(take())) {
          // until it is stored
        }
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
        throw RunwireException.of(Code.CANCELLED, "the thread was interrupted");
      } finally {
        call.cancel("it is over", null);
      }
    }

    private void sendChunks(long from, int chunkBytes) throws IOException, InterruptedException {
      CRC32C checksum = new CRC32C();
      long offset = from;
      while (offset < blob.getSizeBytes()) {
        byte[] data = source.read(offset, (int) Math.min(chunkBytes, blob.getSizeBytes() - offset));
        if (data.length == 0) {
          throw new IOException("the file has become shorter than " + blob.getSizeBytes());
        }
        checksum.reset();
        checksum.update(data);
        awaitReady();
        send(
            UploadBlobRequest.newBuilder()
                .setChunk(
                    Chunk.newBuilder()
                        .setOffset(offset)
                        .setPlainSize(data.length)
                        .setCrc32C((int) checksum.getValue())
                        .setData(UnsafeByteOperations.unsafeWrap(data))));
        offset += data.length;
        for (UploadBlobResponse told = arrived.poll(); told != null; told = arrived.poll()) {
          if (hear(told)) {
            return;
          }
        }
      }
    }

    private void send(UploadBlobRequest.Builder request) {
      call.sendMessage(request.build());
    }

    /** Whether it says that all is stored. */
    private boolean hear(UploadBlobResponse told) {
      if (told.hasProgress()) {
        acknowledge(told.getProgress().getCommittedSize());
      }
      return told.hasStored();
    }

    private UploadBlobResponse take() throws InterruptedException {
      for (int second = 0; second < 2 * SILENCE_S; second++) {
        UploadBlobResponse told = arrived.poll(500, TimeUnit.MILLISECONDS);
        if (told != null) {
          return told;
        }
        check();
      }
      throw RunwireException.of(Code.UNAVAILABLE, "the server has fallen silent");
    }

    private void awaitReady() throws InterruptedException {
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SILENCE_S);
      while (!call.isReady()) {
        check();
        if (System.nanoTime() > end) {
          throw RunwireException.of(Code.UNAVAILABLE, "the server takes no more");
        }
        ready.tryAcquire(100, TimeUnit.MILLISECONDS);
      }
    }

    private void check() {
      if (failure != null) {
        throw failure;
      }
      if (isOver && arrived.isEmpty()) {
        throw RunwireException.of(Code.UNAVAILABLE, "the server ended an upload");
      }
    }

    @Override
    public void onMessage(UploadBlobResponse response) {
      arrived.add(response);
    }

    @Override
    public void onReady() {
      ready.release();
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      if (!status.isOk()) {
        failure = Errors.of(status.asRuntimeException(trailers));
      }
      isOver = true;
      ready.release();
    }
  }
}
