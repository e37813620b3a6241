package dev.runwire;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;

/** Says with every call which client it is, who uses it, and the token. */
final class Headers implements ClientInterceptor {
  private final Metadata metadata = new Metadata();

  Headers(String client, String user, String token) {
    put("runwire-client", client);
    put("runwire-user", URLEncoder.encode(user, StandardCharsets.UTF_8).replace("+", "%20"));
    if (!token.isEmpty()) {
      put("authorization", "Bearer " + token);
    }
  }

  private void put(String name, String value) {
    metadata.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value);
  }

  @Override
  public <Q, R> ClientCall<Q, R> interceptCall(
      MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
    return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
      @Override
      public void start(Listener<R> listener, Metadata headers) {
        headers.merge(metadata);
        super.start(listener, headers);
      }
    };
  }
}
