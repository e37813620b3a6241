package dev.runwire;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.ArrayList;
import java.util.List;

/** Where a server is: {@code grpc://HOST:5001[,HOST:5001]} or the URL of its web port. */
record TrackingUri(String scheme, List<HostPort> servers, String text) {
  static final int GRPC_PORT = 5001;

  /** A host without brackets, and its port. */
  record HostPort(String host, int port) {
    String authority() {
      return (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
    }
  }

  boolean isWeb() {
    return scheme.startsWith("http");
  }

  boolean isSecure() {
    return scheme.endsWith("s");
  }

  static TrackingUri parse(String text) {
    int end = text.indexOf("://");
    String scheme = end < 0 ? "" : text.substring(0, end).toLowerCase(java.util.Locale.ROOT);
    if (!List.of("grpc", "grpcs", "http", "https").contains(scheme)) {
      throw invalid(text, "write grpc(s)://HOST:5001 or http(s)://HOST:5000");
    }
    String rest = text.substring(end + 3).replaceAll("/+$", "");
    boolean web = scheme.startsWith("http");
    List<HostPort> servers = new ArrayList<>();
    for (String server : web ? List.of(rest) : List.of(rest.split(",", -1))) {
      servers.add(hostPort(text, server, web ? defaultPort(scheme) : GRPC_PORT, web));
    }
    return new TrackingUri(scheme, List.copyOf(servers), scheme + "://" + rest);
  }

  private static int defaultPort(String scheme) {
    return scheme.equals("https") ? 443 : 80;
  }

  static HostPort hostPort(String text, String server, int defaultPort, boolean withPath) {
    try {
      URI found = new URI("any://" + server);
      if (found.getHost() == null || (!withPath && !found.getRawPath().isEmpty())) {
        throw invalid(text, "names no host, or has a path");
      }
      String host = found.getHost().replaceAll("^\\[|]$", "");
      return new HostPort(host, found.getPort() < 0 ? defaultPort : found.getPort());
    } catch (URISyntaxException wrong) {
      throw invalid(text, wrong.getReason());
    }
  }

  private static RunwireException invalid(String text, String problem) {
    return RunwireException.invalid("uri", "'" + text + "': " + problem);
  }
}
