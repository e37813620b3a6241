package runwire

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// serve starts gRPC services on loopback, and returns a client of them.
func serve(t *testing.T, options *Options, register func(*grpc.Server)) *Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	go server.Serve(listener)
	if options == nil {
		options = &Options{}
	}
	options.Logger = slog.New(slog.DiscardHandler)
	client, err := NewClient("grpc://"+listener.Addr().String(), options)
	if err != nil {
		t.Fatal(err)
	}
	noLeaks(t) // before the cleanup that ends them: cleanups run last first
	t.Cleanup(func() {
		client.Close()
		server.Stop()
	})
	return client
}

// refusal is an error as the service sends it.
func refusal(code codes.Code, reason Reason, retryAfter time.Duration) error {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Reason: string(reason), Domain: "runwire.v1", Metadata: map[string]string{"kind": "run"},
	}}
	if retryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	said, _ := status.New(code, "because").WithDetails(details...)
	return said.Err()
}

// within is a context for what must not take long, even on a slow machine.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// fakeMetrics keeps what writers send, each batch once, as the service does. Its hooks make it
// fail.
type fakeMetrics struct {
	runwirev1.UnimplementedMetricServiceServer
	mu        sync.Mutex
	committed map[string]int64
	batches   []*runwirev1.MetricBatch
	points    map[string][]point
	beats     int
	streams   int
	closeAt   int64 // a sequence: the stream is told to close after it

	advice  *runwirev1.WriteAdvice
	onOpen  func(stream int) error                             // before Opened
	onBatch func(stream int, batch int64) (stored, said error) // before and after it is stored
	onCall  func() error
	ack     func(batch *runwirev1.MetricBatch) []*runwirev1.Rejection
}

type point struct {
	step, micros int64
	value        float64
}

func newFakeMetrics() *fakeMetrics {
	return &fakeMetrics{committed: map[string]int64{}, points: map[string][]point{}}
}

func (f *fakeMetrics) register(server *grpc.Server) { runwirev1.RegisterMetricServiceServer(server, f) }

func (f *fakeMetrics) StreamBatches(stream grpc.BidiStreamingServer[runwirev1.StreamBatchesRequest, runwirev1.StreamBatchesResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.streams++
	number, committed := f.streams, f.committed[first.GetOpen().WriterId]
	f.mu.Unlock()
	if f.onOpen != nil {
		if err := f.onOpen(number); err != nil {
			return err
		}
	}
	opened := &runwirev1.StreamBatchesResponse_Opened{CommittedSequence: committed, Advice: f.advice}
	if err := stream.Send(&runwirev1.StreamBatchesResponse{Message: &runwirev1.StreamBatchesResponse_Opened_{Opened: opened}}); err != nil {
		return err
	}
	names := map[uint32]string{}
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.hear(stream, first.GetOpen().WriterId, number, names, request); err != nil {
			return err
		}
	}
}

func (f *fakeMetrics) hear(stream grpc.BidiStreamingServer[runwirev1.StreamBatchesRequest, runwirev1.StreamBatchesResponse], writer string, number int, names map[uint32]string, request *runwirev1.StreamBatchesRequest) error {
	if request.GetHeartbeat() != nil {
		f.mu.Lock()
		f.beats++
		f.mu.Unlock()
		return nil
	}
	for _, one := range request.Series {
		names[one.Id] = one.Key
	}
	var before, after error
	if f.onBatch != nil {
		before, after = f.onBatch(number, request.GetBatch().Sequence)
	}
	if before != nil {
		return before
	}
	ack, err := f.store(writer, names, request.GetBatch())
	if err == nil {
		err = after
	}
	if err != nil {
		return err
	}
	err = stream.Send(&runwirev1.StreamBatchesResponse{Message: &runwirev1.StreamBatchesResponse_Ack{Ack: ack}})
	if err == nil && request.GetBatch().Sequence == f.closeAt {
		closing := &runwirev1.StreamBatchesResponse_Closing{}
		err = stream.Send(&runwirev1.StreamBatchesResponse{Message: &runwirev1.StreamBatchesResponse_Closing_{Closing: closing}})
	}
	return err
}

func (f *fakeMetrics) LogBatch(_ context.Context, request *runwirev1.LogBatchRequest) (*runwirev1.LogBatchResponse, error) {
	if f.onCall != nil {
		if err := f.onCall(); err != nil {
			return nil, err
		}
	}
	names := map[uint32]string{}
	for _, one := range append(request.Series, request.GetBatch().GetSeries()...) {
		names[one.Id] = one.Key
	}
	ack, err := f.store(request.WriterId, names, request.Batch)
	return &runwirev1.LogBatchResponse{Ack: ack, Advice: f.advice}, err
}

func (f *fakeMetrics) store(writer string, names map[uint32]string, batch *runwirev1.MetricBatch) (*runwirev1.WriteAck, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if batch == nil {
		f.beats++
		return &runwirev1.WriteAck{CommittedSequence: f.committed[writer]}, nil
	}
	if batch.Sequence > f.committed[writer]+1 {
		return nil, refusal(codes.OutOfRange, ReasonSequenceGap, 0)
	}
	ack := &runwirev1.WriteAck{CommittedSequence: max(batch.Sequence, f.committed[writer])}
	if batch.Sequence <= f.committed[writer] {
		return ack, nil
	}
	for _, frame := range batch.Frames {
		for row, step := range frame.Steps {
			for column, id := range frame.Series {
				key, known := names[id]
				if !known {
					return nil, refusal(codes.InvalidArgument, ReasonFieldInvalid, 0)
				}
				value := frame.Values[row*len(frame.Series)+column]
				f.points[key] = append(f.points[key], point{step, frame.TimesMicros[row], value})
			}
		}
	}
	f.committed[writer] = batch.Sequence
	f.batches = append(f.batches, proto.CloneOf(batch))
	if f.ack != nil {
		ack.Rejections = f.ack(batch)
	}
	return ack, nil
}

// has fails unless a series holds each step from 0 to n once, in order.
func (f *fakeMetrics) has(t *testing.T, key string, n int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.points[key]
	if len(found) != n {
		t.Fatalf("%s has %d points, not %d", key, len(found), n)
	}
	for i, one := range found {
		if one.step != int64(i) || one.value != float64(i)/2 {
			t.Fatalf("point %d of %s is %v", i, key, one)
		}
	}
}
