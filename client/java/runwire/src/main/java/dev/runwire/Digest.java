package dev.runwire;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 of what it is given, under the name that blobs have. */
final class Digest {
  private final MessageDigest digest;

  Digest() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException impossible) {
      throw new IllegalStateException(impossible); // every Java has it
    }
  }

  void update(byte[] data, int size) {
    digest.update(data, 0, size);
  }

  String name() {
    return "sha256:" + HexFormat.of().formatHex(digest.digest());
  }
}
