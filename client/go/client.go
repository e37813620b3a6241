package runwire

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"

	"google.golang.org/grpc"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// Client is a service of Runwire, as one program sees it. Safe for many goroutines.
type Client struct {
	// Runs makes, finds and ends runs.
	Runs *Runs
	// Metrics reads what runs logged.
	Metrics *Metrics
	// Artifacts moves files of runs and model versions.
	Artifacts *Artifacts
	// Models is the registry.
	Models *Models

	caller *caller
	ctx    context.Context // over once it is closed
	cancel context.CancelCauseFunc
}

// NewClient is a client of the service at uri; empty: RUNWIRE_TRACKING_URI.
//
//	grpc://host:5001, grpcs://host:5001   a server, with grpcs over TLS
//	grpc://one:5001,two:5001              several, which are used in turn
//	http://host:5000, https://host:5000   a server, whose gRPC port is asked for there
//
// Nothing is opened before it is used. It fails with [CodeInvalidArgument] for a URI that can never
// work.
func NewClient(uri string, options *Options) (*Client, error) {
	uri = cmp.Or(uri, os.Getenv(variableURI))
	if uri == "" {
		return nil, invalid("tracking_uri", "it is empty, and so is %s", variableURI)
	}
	found, err := readURI(uri)
	if err != nil {
		return nil, err
	}
	settled, err := options.settled()
	if err != nil {
		return nil, err
	}
	return newClient(&caller{newConnection(found, settled.TLS), settled, settled.pairs()}), nil
}

func newClient(c *caller) *Client {
	ctx, cancel := context.WithCancelCause(context.Background())
	artifacts := runwirev1.NewArtifactServiceClient(c)
	return &Client{
		Runs:      &Runs{runwirev1.NewRunServiceClient(c), runwirev1.NewMetricServiceClient(c), c.options.Workspace},
		Metrics:   &Metrics{runwirev1.NewMetricServiceClient(c)},
		Artifacts: &Artifacts{artifacts, c.options.Workspace},
		Models:    &Models{runwirev1.NewRegistryServiceClient(c), c.options.Workspace},
		caller:    c,
		ctx:       ctx,
		cancel:    cancel,
	}
}

// Conn carries the calls of generated stubs, with this client's deadlines, retries and errors:
//
//	lineage, err := runwirev1.NewRegistryServiceClient(client.Conn()).QueryLineage(ctx, request)
func (c *Client) Conn() grpc.ClientConnInterface { return c.caller }

// ServerInfo tells the server's version, features and limits.
func (c *Client) ServerInfo(ctx context.Context) (*ServerInfo, error) {
	return runwirev1.NewServerServiceClient(c.caller).GetServerInfo(ctx, &runwirev1.GetServerInfoRequest{})
}

// Close gives the connection up. Calls that are under way, writers and watchers end with
// [ErrClosed]: close writers first, so that all they have is sent.
func (c *Client) Close() error {
	c.cancel(ErrClosed)
	return c.caller.connection.close()
}

// NewID is 32 random hex digits: the id of a run, chosen here.
func NewID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
