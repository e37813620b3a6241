package dev.runwire;

import dev.runwire.TrackingUri.HostPort;
import io.grpc.EquivalentAddressGroup;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.Status;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;

/** All servers of {@code grpc://one,two}: gRPC's own resolvers know one name only. */
final class Endpoints extends NameResolverProvider {
  private static final String SCHEME = "runwire";

  private final List<HostPort> servers;

  Endpoints(List<HostPort> servers) {
    this.servers = servers;
  }

  static String target(List<HostPort> servers) {
    return SCHEME + ":///" + servers.get(0).authority();
  }

  @Override
  public NameResolver newNameResolver(URI target, NameResolver.Args arguments) {
    return new Resolver(arguments);
  }

  @Override
  public String getDefaultScheme() {
    return SCHEME;
  }

  @Override
  protected boolean isAvailable() {
    return true;
  }

  @Override
  protected int priority() {
    return 5;
  }

  private final class Resolver extends NameResolver {
    private final Args arguments;
    private Listener2 listener;

    Resolver(Args arguments) {
      this.arguments = arguments;
    }

    @Override
    public String getServiceAuthority() {
      return servers.get(0).authority();
    }

    @Override
    public void start(Listener2 told) {
      listener = told;
      refresh();
    }

    @Override
    public void refresh() {
      Runnable look =
          () -> {
            ResolutionResult.Builder result = ResolutionResult.newBuilder();
            try {
              result.setAddressesOrError(io.grpc.StatusOr.fromValue(addresses()));
            } catch (UnknownHostException unknown) {
              result.setAddressesOrError(
                  io.grpc.StatusOr.fromStatus(
                      Status.UNAVAILABLE.withDescription("no such host: " + unknown.getMessage())));
            }
            arguments.getSynchronizationContext().execute(() -> listener.onResult2(result.build()));
          };
      Thread thread = Threads.named("runwire-names").newThread(look);
      thread.start();
    }

    private List<EquivalentAddressGroup> addresses() throws UnknownHostException {
      List<EquivalentAddressGroup> found = new ArrayList<>();
      for (HostPort server : servers) {
        for (InetAddress address : InetAddress.getAllByName(server.host())) {
          found.add(new EquivalentAddressGroup(new InetSocketAddress(address, server.port())));
        }
      }
      return found;
    }

    @Override
    public void shutdown() {}
  }
}
