package dev.runwire;

import dev.runwire.RunwireException.Code;
import dev.runwire.v1.ArtifactOwner;
import dev.runwire.v1.ArtifactPath;
import dev.runwire.v1.ArtifactServiceGrpc;
import dev.runwire.v1.Blob;
import dev.runwire.v1.Chunk;
import dev.runwire.v1.DownloadArtifactRequest;
import dev.runwire.v1.DownloadArtifactResponse;
import java.io.IOException;
import java.io.OutputStream;
import java.util.zip.CRC32C;

/** One file, through cuts, from the byte that has come; hashed as it comes. */
final class Download {
  private final Caller caller;
  private final ArtifactPath file;
  private final Artifacts.Progress progress;
  private final Patience patience = new Patience();
  private final Digest digest = new Digest();
  private final CRC32C checksum = new CRC32C();
  private Blob blob;
  private long done;

  Download(Caller caller, ArtifactOwner owner, String path, Artifacts.Progress progress) {
    this.caller = caller;
    this.file = ArtifactPath.newBuilder().setOwner(owner).setPath(path).build();
    this.progress = progress;
  }

  Blob run(OutputStream out) throws IOException {
    while (blob == null || done < blob.getSizeBytes()) {
      try {
        receive(out);
      } catch (RunwireException error) {
        patience.wait(error);
      }
    }
    if (!digest.name().equals(blob.getDigest())) {
      throw Artifacts.damaged("DIGEST_MISMATCH", file.getPath() + " arrived damaged");
    }
    progress.at(done, blob.getSizeBytes());
    return blob;
  }

  private void receive(OutputStream out) throws IOException {
    DownloadArtifactRequest request =
        DownloadArtifactRequest.newBuilder().setArtifact(file).setOffset(done).build();
    try (Responses<DownloadArtifactResponse> responses =
        caller.stream(ArtifactServiceGrpc.getDownloadArtifactMethod(), request)) {
      for (boolean isFirst = true; responses.hasNext(); isFirst = false) {
        DownloadArtifactResponse response = responses.next();
        if (isFirst) {
          begin(response.getBlob());
        }
        if (response.hasChunk()) {
          take(response.getChunk(), out);
        }
      }
    }
    if (blob == null || done < blob.getSizeBytes()) {
      throw RunwireException.of(Code.UNAVAILABLE, "the server ended a download");
    }
  }

  private void begin(Blob told) {
    if (blob != null && !blob.equals(told)) {
      throw RunwireException.of(Code.ABORTED, file.getPath() + " was changed while it was fetched");
    }
    blob = told;
  }

  private void take(Chunk chunk, OutputStream out) throws IOException {
    byte[] data = chunk.getData().toByteArray();
    if (chunk.getOffset() != done || done + data.length > blob.getSizeBytes()) {
      throw Artifacts.damaged("OFFSET_GAP", "a chunk came that was not due");
    }
    checksum.reset();
    checksum.update(data);
    if (chunk.hasCrc32C() && chunk.getCrc32C() != (int) checksum.getValue()) {
      throw Artifacts.damaged("CHECKSUM_MISMATCH", "a chunk was damaged on its way");
    }
    digest.update(data, data.length);
    out.write(data);
    done += data.length;
    patience.progress();
    progress.at(done, blob.getSizeBytes());
  }
}
