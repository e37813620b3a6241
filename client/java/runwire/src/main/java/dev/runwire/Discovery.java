package dev.runwire;

import dev.runwire.RunwireException.Code;
import dev.runwire.TrackingUri.HostPort;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLSocketFactory;

/** {@code http://HOST:5000}: asks the web port where gRPC is served. */
final class Discovery {
  private static final String PATH = "/api/v1/server";
  private static final int TIMEOUT_MS = 10_000;
  private static final int MAX_ANSWER_BYTES = 1 << 20;
  private static final Pattern ENDPOINT =
      Pattern.compile("\"grpc_endpoint\"\\s*:\\s*\"([^\"\\\\]*)\"");

  private Discovery() {}

  /** The gRPC endpoint behind a web address. */
  static HostPort ask(TrackingUri uri, SSLSocketFactory sockets) {
    String answer = get(uri, sockets);
    Matcher found = ENDPOINT.matcher(answer);
    if (!found.find()) {
      throw RunwireException.invalid("uri", uri.text() + " is a web server, but not Runwire's");
    }
    String own = uri.servers().get(0).host();
    String endpoint = found.group(1);
    HostPort told =
        endpoint.startsWith(":")
            ? new HostPort("", Integer.parseInt(endpoint.substring(1)))
            : TrackingUri.hostPort(uri.text(), endpoint, TrackingUri.GRPC_PORT, false);
    // A server that listens everywhere listens where we came from, too.
    boolean anywhere = List.of("", "0.0.0.0", "::").contains(told.host());
    return new HostPort(anywhere ? own : told.host(), told.port());
  }

  private static String get(TrackingUri uri, SSLSocketFactory sockets) {
    try {
      HttpURLConnection call =
          (HttpURLConnection) URI.create(uri.text() + PATH).toURL().openConnection();
      if (sockets != null && call instanceof HttpsURLConnection secure) {
        secure.setSSLSocketFactory(sockets);
      }
      call.setConnectTimeout(TIMEOUT_MS);
      call.setReadTimeout(TIMEOUT_MS);
      call.setRequestProperty("Accept", "application/json");
      if (List.of(429, 502, 503, 504).contains(call.getResponseCode())) {
        throw RunwireException.of(
            Code.UNAVAILABLE, uri.text() + " answers " + call.getResponseCode());
      }
      if (call.getResponseCode() != 200) {
        return "";
      }
      try (InputStream body = call.getInputStream()) {
        return new String(body.readNBytes(MAX_ANSWER_BYTES), StandardCharsets.UTF_8);
      }
    } catch (IOException away) {
      throw new RunwireException(
          Code.UNAVAILABLE,
          "",
          "nothing answers at " + uri.text() + " (" + away.getMessage() + ")",
          java.util.Map.of(),
          null,
          away);
    }
  }
}
