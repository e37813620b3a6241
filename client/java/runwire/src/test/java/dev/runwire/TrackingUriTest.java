package dev.runwire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.runwire.TrackingUri.HostPort;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrackingUriTest {
  @Test
  void severalServersGoByTheirGrpcAddresses() {
    TrackingUri uri = TrackingUri.parse("grpcs://ada,[::1]:6001/");
    assertEquals(List.of(new HostPort("ada", 5001), new HostPort("::1", 6001)), uri.servers());
    assertEquals("[::1]:6001", uri.servers().get(1).authority());
    assertTrue(uri.isSecure());
  }

  @Test
  void webAddressMayHaveAPath() {
    TrackingUri uri = TrackingUri.parse("HTTPS://host/tracking/");
    assertTrue(uri.isWeb());
    assertEquals("https://host/tracking", uri.text());
    assertEquals(443, uri.servers().get(0).port());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "host:5000",
        "ftp://host",
        "grpc://",
        "grpc://a,",
        "grpc://a/path",
        "grpc://a:x"
      })
  void wrongAddressIsRefusedByName(String text) {
    RunwireException error = assertThrows(RunwireException.class, () -> TrackingUri.parse(text));
    assertEquals("FIELD_INVALID", error.reason());
    assertEquals("uri", error.metadata().get("field"));
  }
}
