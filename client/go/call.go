package runwire

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// caller is the one door to the services: what all generated stubs go through. It adds
// deadlines, metadata, retries and typed errors.
type caller struct {
	connection *connection
	options    Options
	pairs      []string
}

var _ grpc.ClientConnInterface = (*caller)(nil)

// Invoke makes a call with one answer.
func (c *caller) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.Timeout)
		defer cancel()
	}
	retry := newRetry()
	for {
		err := c.attempt(ctx, method, request, response, options...)
		if err == nil || !isRepeatable(method) || !retry.wait(ctx, err) {
			return err
		}
	}
}

func (c *caller) attempt(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	channel, err := c.connection.channel(ctx)
	if err != nil {
		return err
	}
	return c.told(channel.Invoke(c.outgoing(ctx), method, request, response, options...))
}

// NewStream opens a call with many messages. It has no deadline but its context's.
func (c *caller) NewStream(ctx context.Context, what *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	channel, err := c.connection.channel(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := channel.NewStream(c.outgoing(ctx), what, method, options...)
	if err != nil {
		return nil, c.told(err)
	}
	return &toldStream{stream, c}, nil
}

func (c *caller) outgoing(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, c.pairs...)
}

func (c *caller) told(err error) error {
	if err != nil && c.connection.closed.Load() {
		return ErrClosed
	}
	return errorOf(err, c.connection.address.shown)
}

// toldStream translates the errors of a stream.
type toldStream struct {
	grpc.ClientStream
	caller *caller
}

func (s *toldStream) SendMsg(message any) error {
	return s.caller.told(s.ClientStream.SendMsg(message))
}
func (s *toldStream) RecvMsg(message any) error {
	return s.caller.told(s.ClientStream.RecvMsg(message))
}
func (s *toldStream) CloseSend() error { return s.caller.told(s.ClientStream.CloseSend()) }

// isRepeatable tells whether a call may be made twice: the protos say it.
func isRepeatable(method string) bool { return repeatable()[method] }

var repeatable = sync.OnceValue(func() map[string]bool {
	found := map[string]bool{}
	ofUs := runwirev1.File_runwire_v1_run_service_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(ofUs, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				found["/"+string(service.FullName())+"/"+string(method.Name())] = isSafe(method)
			}
		}
		return true
	})
	return found
})

func isSafe(method protoreflect.MethodDescriptor) bool {
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	level := options.GetIdempotencyLevel()
	return level != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN && !method.IsStreamingClient()
}
