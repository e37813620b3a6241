package runwire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

func logSteps(t *testing.T, w *Writer, key string, n int) {
	t.Helper()
	for step := range n {
		if err := w.LogMetric(within(t), key, float64(step)/2, int64(step)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFlushedPointsAreStoredAsTheyWereLogged(t *testing.T) {
	fake := newFakeMetrics()
	w := serve(t, nil, fake.register).Writer("run", nil)
	odd := math.Float64frombits(0x7ff8dead_beef0001)
	at := time.UnixMicro(1_700_000_000_123_456)
	row := map[string]float64{"a": 1, "b": math.Inf(-1), "ключ": odd}
	if err := w.LogAt(within(t), row, math.MinInt64, at); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	for key, value := range row {
		found := fake.points[key]
		if len(found) != 1 || found[0].step != math.MinInt64 || found[0].micros != at.UnixMicro() ||
			math.Float64bits(found[0].value) != math.Float64bits(value) {
			t.Errorf("%s is %v", key, found)
		}
	}
}

func TestEachPointIsStoredOnceThroughCuts(t *testing.T) {
	fake := newFakeMetrics()
	cut := status.Error(codes.Unavailable, "cut")
	seen := map[int64]bool{} // of one stream after the other
	fake.onBatch = func(_ int, sequence int64) (error, error) {
		isFirst := !seen[sequence]
		seen[sequence] = true
		switch {
		case isFirst && sequence%10 == 3:
			return cut, nil // lost on its way
		case isFirst && sequence%10 == 7:
			return nil, cut // stored, and its acknowledgement lost
		}
		return nil, nil
	}
	w := serve(t, nil, fake.register).Writer("run", &WriterOptions{MaxBatchBytes: 16 << 10})
	var group sync.WaitGroup
	for thread := range 4 {
		group.Add(1)
		go func() { defer group.Done(); logSteps(t, w, fmt.Sprint("loss/", thread), 20_000) }()
	}
	group.Wait()
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	for thread := range 4 {
		fake.has(t, fmt.Sprint("loss/", thread), 20_000)
	}
	if fake.streams < 5 {
		t.Errorf("%d streams: nothing was cut", fake.streams)
	}
}

func TestWriterGoesOnWhereAStreamIsToldToClose(t *testing.T) {
	fake := newFakeMetrics()
	fake.closeAt = 2
	w := serve(t, nil, fake.register).Writer("run", nil)
	for _, key := range []string{"first", "second", "third", "fourth"} {
		logSteps(t, w, key, 10)
		if err := w.Flush(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"first", "second", "third", "fourth"} {
		fake.has(t, key, 10)
	}
	if fake.streams != 2 {
		t.Errorf("%d streams", fake.streams)
	}
}

func TestWriterGoesWithoutStreamsWhereNonePasses(t *testing.T) {
	fake := newFakeMetrics()
	fake.onOpen = func(int) error { return status.Error(codes.Unimplemented, "a proxy") }
	w := serve(t, nil, fake.register).Writer("run", &WriterOptions{MaxBatchBytes: 16 << 10})
	logSteps(t, w, "loss", 5000)
	if err := w.LogParams(within(t), map[string]string{"lr": "0.1"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	fake.has(t, "loss", 5000)
	if last := fake.batches[len(fake.batches)-1]; last.Params["lr"] != "0.1" {
		t.Errorf("params %v", last.Params)
	}
}

func TestWriterGivesUpWhereItIsRefused(t *testing.T) {
	fake := newFakeMetrics()
	fake.onBatch = func(int, int64) (error, error) {
		return refusal(codes.FailedPrecondition, ReasonRunSealed, 0), nil
	}
	told := make(chan error, 1)
	w := serve(t, nil, fake.register).Writer("run", &WriterOptions{OnError: func(err error) { told <- err }})
	logSteps(t, w, "loss", 1)
	if err := w.Flush(within(t)); !errors.Is(err, ReasonRunSealed) {
		t.Errorf("flush: %v", err)
	}
	if err := <-told; !errors.Is(err, CodeFailedPrecondition) {
		t.Errorf("told: %v", err)
	}
	if err := w.LogMetric(within(t), "loss", 1, 1); !errors.Is(err, ReasonRunSealed) {
		t.Errorf("log: %v", err)
	}
	if err := w.Close(within(t)); !errors.Is(err, ReasonRunSealed) {
		t.Errorf("close: %v", err)
	}
}

func TestFullWriterDropsTheNewestPointsAndCountsThem(t *testing.T) {
	fake := newFakeMetrics()
	held := make(chan struct{})
	fake.onOpen = func(int) error { <-held; return nil }
	w := serve(t, nil, fake.register).Writer("run", &WriterOptions{MaxBufferedBytes: 64 << 10, WhenFull: Drop})
	logSteps(t, w, "loss", 10_000)
	close(held)
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	dropped := int(w.Status().DroppedPoints)
	if dropped == 0 || dropped > 8000 {
		t.Errorf("%d dropped", dropped)
	}
	fake.has(t, "loss", 10_000-dropped)
}

func TestFullWriterBlocksAsLongAsTheContextAllows(t *testing.T) {
	fake := newFakeMetrics()
	held := make(chan struct{})
	fake.onOpen = func(int) error { <-held; return nil }
	w := serve(t, nil, fake.register).Writer("run", &WriterOptions{MaxBufferedBytes: 1})
	logSteps(t, w, "loss", 1)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(time.Millisecond, cancel)
	if err := w.LogMetric(ctx, "loss", 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("log: %v", err)
	}
	close(held)
	if err := w.LogMetric(within(t), "loss", 0.5, 1); err != nil {
		t.Errorf("log: %v", err)
	}
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	fake.has(t, "loss", 2)
}

func TestFlushEndsWithItsContextAndTheWriterGoesOn(t *testing.T) {
	fake := newFakeMetrics()
	held := make(chan struct{})
	fake.onOpen = func(int) error { <-held; return nil }
	w := serve(t, nil, fake.register).Writer("run", nil)
	logSteps(t, w, "loss", 3)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := w.Flush(ctx); !errors.Is(err, CodeDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush: %v", err)
	}
	close(held)
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	fake.has(t, "loss", 3)
}

func TestCloseThatTakesTooLongTellsWhatIsLost(t *testing.T) {
	fake := newFakeMetrics()
	held := make(chan struct{})
	fake.onOpen = func(int) error { <-held; return nil }
	w := serve(t, nil, fake.register).Writer("run", nil)
	logSteps(t, w, "loss", 3)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := w.Close(ctx); !errors.Is(err, CodeDeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	close(held)
	if err := w.LogMetric(within(t), "loss", 1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("log: %v", err)
	}
}

func TestClosedClientEndsItsWriters(t *testing.T) {
	fake := newFakeMetrics()
	client := serve(t, nil, fake.register)
	w := client.Writer("run", nil)
	client.Close()
	<-w.done
	if err := w.LogMetric(within(t), "loss", 1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("log: %v", err)
	}
}

func TestStopRequestAndRejectionsAreTold(t *testing.T) {
	fake := newFakeMetrics()
	fake.advice = &runwirev1.WriteAdvice{StopRequested: true}
	fake.ack = func(*runwirev1.MetricBatch) []*runwirev1.Rejection {
		return []*runwirev1.Rejection{{Key: "loss", Points: 2, Fault: &runwirev1.Fault{Reason: "QUOTA"}}}
	}
	stopped, rejected := make(chan struct{}), make(chan Rejection, 1)
	w := serve(t, nil, fake.register).Writer("run", &WriterOptions{
		OnStop: func() { close(stopped) }, OnRejection: func(one Rejection) { rejected <- one },
		FlushInterval: time.Hour,
	})
	logSteps(t, w, "loss", 2)
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	<-stopped
	if one := <-rejected; one.Key != "loss" || one.Points != 2 || one.Reason != ReasonQuota {
		t.Errorf("rejection %v", one)
	}
	if now := w.Status(); !now.StopRequested || now.RejectedPoints != 2 || len(now.Rejections) != 1 {
		t.Errorf("status %+v", now)
	}
}

func TestParamsThatContradictGoInSeparateBatches(t *testing.T) {
	fake := newFakeMetrics()
	w := serve(t, nil, fake.register).Writer("run", &WriterOptions{FlushInterval: time.Hour})
	for _, value := range []string{"1", "1", "2"} {
		if err := w.LogParams(within(t), map[string]string{"lr": value}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.LogTags(within(t), map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, batch := range fake.batches {
		if value := batch.Params["lr"]; value != "" {
			values = append(values, value)
		}
	}
	if fmt.Sprint(values) != "[1 2]" {
		t.Errorf("params %v", values)
	}
}

func TestIdleWriterSendsHeartbeats(t *testing.T) {
	w := &Writer{}
	w.advice.unacked = 1
	s := &session{isOpen: true, sentAt: time.Now().Add(-heartbeatInterval)}
	if next := w.next(s, 1); !next.heartbeat {
		t.Errorf("next is %+v", next)
	}
	s.sentAt = time.Now()
	if next := w.next(s, 1); next.heartbeat || next.pause <= 0 || next.pause > heartbeatInterval {
		t.Errorf("next is %+v", next)
	}
}

func TestBadKeysAreRefusedAtOnce(t *testing.T) {
	w := serve(t, nil, newFakeMetrics().register).Writer("run", nil)
	if err := w.LogMetric(within(t), "\xff", 1, 1); !errors.Is(err, ReasonFieldInvalid) {
		t.Errorf("log: %v", err)
	}
	if err := w.Log(within(t), map[string]float64{"a": 1, "\xff": 1}, 1); !errors.Is(err, ReasonFieldInvalid) {
		t.Errorf("log: %v", err)
	}
	if err := w.LogTags(within(t), map[string]string{"a": "\xff"}); !errors.Is(err, ReasonFieldInvalid) {
		t.Errorf("tags: %v", err)
	}
	if err := w.Close(within(t)); err != nil {
		t.Error(err)
	}
}

func TestServerThatLivesAndReadsNothingIsLeft(t *testing.T) {
	fake := newFakeMetrics()
	held := make(chan struct{})
	fake.onBatch = func(int, int64) (error, error) { <-held; return status.Error(codes.Unavailable, "late"), nil }
	client := serve(t, nil, fake.register)
	t.Cleanup(func() { close(held) }) // before the server ends
	w := client.Writer("run", &WriterOptions{ackTimeout: 10 * time.Millisecond, MaxBatchBytes: 256 << 10})
	logSteps(t, w, "loss", 100_000) // more than fits between the two
	if err := w.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	fake.has(t, "loss", 100_000)
}

func TestServerHasTimeToAnswer(t *testing.T) {
	w := &Writer{options: (*WriterOptions)(nil).settled(), committed: 1}
	s := &stream{writer: w, session: session{sent: 1, heardAt: time.Now().Add(-ackTimeout / 2)}}
	if left := s.patience(); left > 0 {
		t.Errorf("%v to open", left)
	}
	s.session.isOpen = true
	if left := s.patience(); left != ackTimeout {
		t.Errorf("%v where no answer is due", left)
	}
	s.session.sent = 2
	if left := s.patience(); left <= 0 || left > ackTimeout/2 {
		t.Errorf("%v to acknowledge", left)
	}
}
