package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.runwire.v1.ArtifactServiceGrpc;
import dev.runwire.v1.Blob;
import dev.runwire.v1.Chunk;
import dev.runwire.v1.DownloadArtifactRequest;
import dev.runwire.v1.DownloadArtifactResponse;
import io.grpc.BindableService;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ArtifactsTest extends ServedTest {
  private static final byte[] DATA = {1, 2, 3};

  /** Has one file, under every path. */
  private static final class Store extends ArtifactServiceGrpc.ArtifactServiceImplBase {
    @Override
    public void downloadArtifact(
        DownloadArtifactRequest request, StreamObserver<DownloadArtifactResponse> answer) {
      Digest digest = new Digest();
      digest.update(DATA, DATA.length);
      answer.onNext(
          DownloadArtifactResponse.newBuilder()
              .setBlob(Blob.newBuilder().setDigest(digest.name()).setSizeBytes(DATA.length))
              .setChunk(Chunk.newBuilder().setData(ByteString.copyFrom(DATA)))
              .build());
      answer.onCompleted();
    }
  }

  @TempDir Path folder;

  @Override
  BindableService service() {
    return new Store();
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> found = Files.list(folder)) {
      return found.toList();
    }
  }

  @Test
  void downloadReplacesAFile() throws IOException {
    Path file = Files.write(folder.resolve("file"), new byte[100]);
    client.artifacts().download("run", "file", file);
    assertArrayEquals(DATA, Files.readAllBytes(file));
    assertEquals(List.of(file), files());
  }

  /** A move that deletes first would delete an empty folder too; a rename does not. */
  @Test
  void whatIsThereIsNotDeletedBeforeItIsReplaced() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThrows(IOException.class, () -> client.artifacts().download("run", "file", empty));
    assertTrue(Files.isDirectory(empty));
    assertEquals(List.of(empty), files());
  }
}
