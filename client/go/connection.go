package runwire

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

const mostMessageBytes = 16 << 20

// connection is one channel, opened when it is first used.
type connection struct {
	address *address
	tls     *tls.Config
	opened  atomic.Pointer[grpc.ClientConn]
	opening chan struct{} // holds a token: who has it may open or close
	closed  atomic.Bool
}

func newConnection(found *address, config *tls.Config) *connection {
	made := &connection{address: found, tls: config, opening: make(chan struct{}, 1)}
	made.opening <- struct{}{}
	return made
}

func (c *connection) channel(ctx context.Context) (*grpc.ClientConn, error) {
	if opened := c.opened.Load(); opened != nil {
		return opened, nil
	}
	select {
	case <-c.opening:
	case <-ctx.Done():
		return nil, errorOfContext(ctx.Err(), "waiting for a connection")
	}
	defer func() { c.opening <- struct{}{} }()
	if c.closed.Load() {
		return nil, ErrClosed
	}
	if opened := c.opened.Load(); opened != nil {
		return opened, nil
	}
	opened, err := c.open(ctx)
	if err == nil {
		c.opened.Store(opened)
	}
	return opened, err
}

func (c *connection) close() error {
	c.closed.Store(true)
	<-c.opening
	defer func() { c.opening <- struct{}{} }()
	if opened := c.opened.Swap(nil); opened != nil {
		return opened.Close()
	}
	return nil
}

func (c *connection) open(ctx context.Context) (*grpc.ClientConn, error) {
	endpoints := c.address.endpoints
	if c.address.web != "" {
		endpoint, err := discover(ctx, c.address.web, c.tls)
		if err != nil {
			return nil, err
		}
		endpoints = []string{endpoint}
	}
	secured := insecure.NewCredentials()
	if c.address.secure {
		secured = credentials.NewTLS(c.tls)
	}
	options := append(channelOptions(), grpc.WithTransportCredentials(secured))
	if len(endpoints) == 1 {
		return grpc.NewClient("dns:///"+endpoints[0], options...)
	}
	return grpc.NewClient("runwire:///"+endpoints[0], append(options, grpc.WithResolvers(resolverOf(endpoints)))...)
}

func channelOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithUserAgent("runwire-go/" + Version),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(mostMessageBytes), grpc.MaxCallSendMsgSize(mostMessageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		// A server that comes back is found within a call's retries, not after two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 5 * time.Second,
		}),
		// Every address is used in turn; one that does not answer is passed over.
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithDisableServiceConfig(),
		// Calls are tried again by us, from the method's idempotency level: one policy, not two.
		grpc.WithDisableRetry(),
	}
}

// resolverOf knows several servers, each with a certificate of its own.
func resolverOf(endpoints []string) resolver.Builder {
	made := manual.NewBuilderWithScheme("runwire")
	var state resolver.State
	for _, endpoint := range endpoints {
		host, _, _ := net.SplitHostPort(endpoint)
		address := resolver.Address{Addr: endpoint, ServerName: host}
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{address}})
	}
	made.InitialState(state)
	return made
}
