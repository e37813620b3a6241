package dev.runwire;

import dev.runwire.v1.Blob;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Bytes to send. */
interface Source {
  /** Digest and size; hashes all of it. */
  Blob blob() throws IOException;

  /** So many bytes from an offset, or what there is of them. */
  byte[] read(long offset, int size) throws IOException;

  /** Of a file, which must not change. */
  record OfFile(Path path) implements Source {
    private static final int HASHED_AT_ONCE = 1 << 18;

    @Override
    public Blob blob() throws IOException {
      Digest digest = new Digest();
      byte[] buffer = new byte[HASHED_AT_ONCE];
      long size = 0;
      try (InputStream in = Files.newInputStream(path)) {
        for (int got = in.read(buffer); got >= 0; got = in.read(buffer)) {
          digest.update(buffer, got);
          size += got;
        }
      }
      return Blob.newBuilder().setDigest(digest.name()).setSizeBytes(size).build();
    }

    @Override
    public byte[] read(long offset, int size) throws IOException {
      ByteBuffer buffer = ByteBuffer.allocate(size);
      try (FileChannel channel = FileChannel.open(path)) {
        while (buffer.hasRemaining() && channel.read(buffer, offset + buffer.position()) >= 0) {
          // a read may give less
        }
      }
      return Arrays.copyOf(buffer.array(), buffer.position());
    }
  }

  /** Of bytes in memory. */
  record OfBytes(byte[] data) implements Source {
    @Override
    public Blob blob() {
      Digest digest = new Digest();
      digest.update(data, data.length);
      return Blob.newBuilder().setDigest(digest.name()).setSizeBytes(data.length).build();
    }

    @Override
    public byte[] read(long offset, int size) {
      return Arrays.copyOfRange(data, (int) offset, (int) Math.min(data.length, offset + size));
    }
  }
}
