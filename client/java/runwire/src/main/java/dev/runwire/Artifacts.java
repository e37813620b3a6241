package dev.runwire;

import com.google.protobuf.ByteString;
import dev.runwire.RunwireException.Code;
import dev.runwire.v1.Artifact;
import dev.runwire.v1.ArtifactOwner;
import dev.runwire.v1.ArtifactServiceGrpc;
import dev.runwire.v1.BatchPutBlobsRequest;
import dev.runwire.v1.BatchPutBlobsResponse;
import dev.runwire.v1.Blob;
import dev.runwire.v1.CommitArtifactsRequest;
import dev.runwire.v1.FindMissingBlobsRequest;
import dev.runwire.v1.ListArtifactsRequest;
import dev.runwire.v1.ListArtifactsResponse;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * Files of runs. What the server has already is not sent again; what a cut interrupts goes on at
 * the acknowledged byte; a file is there when all of its bytes have come and their digest is right.
 */
public final class Artifacts {
  private static final long SMALL_BYTES = 64 << 10;

  /** Told how far a transfer is. */
  @FunctionalInterface
  public interface Progress {
    /** For those who do not want to know. */
    Progress NONE = (done, total) -> {};

    /**
     * Called as bytes are acknowledged or have come, by the thread that transfers.
     *
     * @param doneBytes so far
     * @param totalBytes in all
     */
    void at(long doneBytes, long totalBytes);
  }

  private final Caller caller;

  Artifacts(Caller caller) {
    this.caller = caller;
  }

  /**
   * Adds a file to a run.
   *
   * @param runId which run
   * @param path under which it is there, for instance "models/weights.bin"
   * @param file is read twice, and must not change meanwhile
   * @return digest and size
   * @throws IOException where it cannot be read
   */
  public Blob upload(String runId, String path, Path file) throws IOException {
    return upload(runId, path, file, Progress.NONE);
  }

  /**
   * Adds a file to a run.
   *
   * @param runId which run
   * @param path under which it is there
   * @param file is read twice, and must not change meanwhile
   * @param progress told how far it is
   * @return digest and size
   * @throws IOException where it cannot be read
   */
  public Blob upload(String runId, String path, Path file, Progress progress) throws IOException {
    return upload(runId, path, new Source.OfFile(file), progress);
  }

  /**
   * Adds bytes to a run.
   *
   * @param runId which run
   * @param path under which they are there
   * @param data the bytes
   * @return digest and size
   */
  public Blob upload(String runId, String path, byte[] data) {
    try {
      return upload(runId, path, new Source.OfBytes(data), Progress.NONE);
    } catch (IOException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  private Blob upload(String runId, String path, Source source, Progress progress)
      throws IOException {
    Blob blob = source.blob();
    if (isMissing(blob)) {
      if (blob.getSizeBytes() <= SMALL_BYTES) {
        putSmall(blob, source);
      } else {
        new Upload(caller, source, blob, progress).run();
      }
    }
    progress.at(blob.getSizeBytes(), blob.getSizeBytes());
    commit(runId, Artifact.newBuilder().setPath(path).setBlob(blob).build());
    return blob;
  }

  private boolean isMissing(Blob blob) {
    return caller
            .call(
                ArtifactServiceGrpc.getFindMissingBlobsMethod(),
                FindMissingBlobsRequest.newBuilder()
                    .setWorkspace(caller.workspace)
                    .addBlobs(blob)
                    .build())
            .getMissingCount()
        > 0;
  }

  private void putSmall(Blob blob, Source source) throws IOException {
    ByteString data = ByteString.copyFrom(source.read(0, (int) blob.getSizeBytes()));
    BatchPutBlobsResponse response =
        caller.call(
            ArtifactServiceGrpc.getBatchPutBlobsMethod(),
            BatchPutBlobsRequest.newBuilder()
                .setWorkspace(caller.workspace)
                .addItems(BatchPutBlobsRequest.Item.newBuilder().setBlob(blob).setData(data))
                .build());
    if (response.getResults(0).hasFault()) {
      throw Errors.of(response.getResults(0).getFault());
    }
  }

  /** A stream that leads to the same tree when it is repeated: so it is, where it was cut. */
  private void commit(String runId, Artifact artifact) {
    CommitArtifactsRequest request =
        CommitArtifactsRequest.newBuilder()
            .setOwner(owner(runId))
            .addArtifacts(artifact)
            .setRequestId(Runs.newId())
            .build();
    Patience patience = new Patience();
    while (true) {
      try {
        caller.call(ArtifactServiceGrpc.getCommitArtifactsMethod(), request);
        return;
      } catch (RunwireException error) {
        patience.wait(error);
      }
    }
  }

  /**
   * Fetches a file of a run.
   *
   * @param runId which run
   * @param path of the artifact
   * @param file where to; what is there is replaced when all bytes have come
   * @return digest and size
   * @throws IOException where it cannot be written
   */
  public Blob download(String runId, String path, Path file) throws IOException {
    return download(runId, path, file, Progress.NONE);
  }

  /**
   * Fetches a file of a run.
   *
   * @param runId which run
   * @param path of the artifact
   * @param file where to; what is there is replaced when all bytes have come
   * @param progress told how far it is
   * @return digest and size
   * @throws IOException where it cannot be written
   */
  public Blob download(String runId, String path, Path file, Progress progress) throws IOException {
    Path part = file.resolveSibling(".runwire-" + Runs.newId() + ".part");
    try {
      Blob blob;
      try (OutputStream out = Files.newOutputStream(part)) {
        blob = download(runId, path, out, progress);
      }
      replace(part, file);
      return blob;
    } finally {
      Files.deleteIfExists(part);
    }
  }

  /** At once where the file system can: who looks for the file finds the old one or the new one. */
  private static void replace(Path part, Path file) throws IOException {
    try {
      Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException | FileAlreadyExistsException unable) {
      Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  /**
   * The bytes of a file of a run, over cuts of the connection.
   *
   * @param runId which run
   * @param path of the artifact
   * @param out where to; it may have got bytes where this throws
   * @param progress told how far it is
   * @return digest and size
   * @throws IOException where it cannot be written
   * @throws RunwireException DIGEST_MISMATCH where other bytes have come
   */
  public Blob download(String runId, String path, OutputStream out, Progress progress)
      throws IOException {
    return new Download(caller, owner(runId), path, progress).run(out);
  }

  /**
   * The bytes of a small file of a run.
   *
   * @param runId which run
   * @param path of the artifact
   * @return all of them
   */
  public byte[] download(String runId, String path) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      download(runId, path, out, Progress.NONE);
    } catch (IOException impossible) {
      throw new IllegalStateException(impossible);
    }
    return out.toByteArray();
  }

  /**
   * The files of a run.
   *
   * @param runId which run
   * @return with their whole paths, in pages, fetched as they are walked through
   */
  public Iterable<Artifact> list(String runId) {
    return list(
        ListArtifactsRequest.newBuilder().setOwner(owner(runId)).setRecursive(true).build());
  }

  /**
   * Some files of a run or of a model version.
   *
   * @param request all that can be asked
   * @return with their whole paths, in pages, fetched as they are walked through
   */
  public Iterable<Artifact> list(ListArtifactsRequest request) {
    return new Pages<>(
        token ->
            caller.call(
                ArtifactServiceGrpc.getListArtifactsMethod(),
                request.toBuilder().setPageToken(token).build()),
        ListArtifactsResponse::getArtifactsList,
        ListArtifactsResponse::getNextPageToken);
  }

  private static ArtifactOwner owner(String runId) {
    return ArtifactOwner.newBuilder().setRunId(runId).build();
  }

  static RunwireException damaged(String reason, String message) {
    return new RunwireException(Code.DATA_LOSS, reason, message, java.util.Map.of(), null, null);
  }
}
