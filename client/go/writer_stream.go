package runwire

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// What is unanswered for so long is sent again on another stream, or without.
const (
	openTimeout = 20 * time.Second
	ackTimeout  = 60 * time.Second
)

var streamBatches = &grpc.StreamDesc{StreamName: "StreamBatches", ServerStreams: true, ClientStreams: true}

var heartbeat = &runwirev1.StreamBatchesRequest{Message: &runwirev1.StreamBatchesRequest_Heartbeat_{
	Heartbeat: &runwirev1.StreamBatchesRequest_Heartbeat{},
}}

// stream is one StreamBatches call. A goroutine of its own hears what the server says.
type stream struct {
	writer  *Writer
	call    grpc.ClientStream
	number  int64
	session session // sent, isOpen and heardAt belong to the writer's lock
	ended   chan struct{}
	err     error // what ended it, once ended is closed; nil: the server, in peace
}

// sendStream delivers with several batches under way, until the stream ends.
func (w *Writer) sendStream(l *link) error {
	l.streams++
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	call, err := w.caller.NewStream(ctx, streamBatches, runwirev1.MetricService_StreamBatches_FullMethodName, onWire())
	if err != nil {
		return err
	}
	s := &stream{writer: w, call: call, number: l.streams, ended: make(chan struct{})}
	s.session.heardAt = time.Now()
	go s.hear()
	go s.watch(cancel)
	err = s.send()
	if err == nil {
		err = s.drain()
	}
	cancel(nil)
	<-s.ended
	if context.Cause(ctx) == errSilent {
		s.err = errSilent // and not that it was cancelled
	}
	return w.verdict(l, s, err)
}

// verdict is what a stream came to, and whether another one is worth a try.
func (w *Writer) verdict(l *link, s *stream, err error) error {
	if s.err != nil {
		err = s.err
	}
	w.mu.Lock()
	wasOpen, isDone := s.session.isOpen, s.session.isLast || w.closing
	w.mu.Unlock()
	if wasOpen {
		l.isAway = false
	}
	if err == nil && !isDone {
		err = &Error{Code: CodeUnavailable, Message: "the server has ended a stream"}
	}
	if err != nil && w.ctx.Err() == nil && l.isFaultOfStreaming(err, wasOpen) {
		w.caller.options.Logger.Info("runwire: a stream failed, going on without", "run_id", w.runID, "error", err)
		l.streamsFrom = time.Now().Add(mistrust)
		return nil
	}
	return err
}

// isFaultOfStreaming tells whether a call without a stream may fare better.
func (l *link) isFaultOfStreaming(err error, wasOpen bool) bool {
	var e *Error
	if !errors.As(err, &e) || e.Reason != "" {
		return false
	}
	return e.Code != CodeUnavailable || !wasOpen && l.failures%3 == 2
}

// send sends what there is, until nothing more is to go this way.
func (s *stream) send() error {
	open := &runwirev1.StreamBatchesRequest_Open{RunId: s.writer.runID, WriterId: s.writer.id, Client: "go/" + Version}
	err := s.call.SendMsg(&runwirev1.StreamBatchesRequest{Message: &runwirev1.StreamBatchesRequest_Open_{Open: open}})
	for err == nil {
		next := s.writer.next(&s.session, mostUnacked)
		switch {
		case next.over:
			return nil
		case next.encode != nil:
			s.writer.number(next.encode)
		case next.batch != nil:
			s.sending(next.batch.sequence)
			err = s.call.SendMsg(next.batch.streamRequest(s.number))
		case next.heartbeat:
			s.session.sentAt = time.Now()
			err = s.call.SendMsg(heartbeat)
		default:
			if !s.wait(next.pause) {
				return s.err
			}
		}
	}
	if err == io.EOF {
		return nil // the server has ended it: hear knows why
	}
	return err
}

// wait returns false where the stream is over.
func (s *stream) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-s.writer.wake:
	case <-timer.C:
	case <-s.ended:
		return false
	}
	return true
}

func (s *stream) sending(sequence int64) {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	s.session.sent, s.session.sentAt = sequence, time.Now()
}

var errSilent = &Error{Code: CodeDeadlineExceeded, Message: "the server acknowledges nothing"}

// watch ends the call of a server that is silent for too long. The sender cannot: where the server
// lives and reads nothing, it waits in SendMsg, which has no end of its own.
func (s *stream) watch(cancel context.CancelCauseFunc) {
	for {
		left := s.patience()
		if left <= 0 {
			cancel(errSilent)
			return
		}
		timer := time.NewTimer(min(left, s.writer.options.ackTimeout)) // it may open before
		select {
		case <-timer.C:
		case <-s.ended:
			timer.Stop()
			return
		}
	}
}

// patience is how long an answer may still take; where none is due, how long one might.
func (s *stream) patience() time.Duration {
	w := s.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	silence := time.Since(s.session.heardAt)
	switch {
	case !s.session.isOpen:
		return openTimeout - silence
	case s.session.sent > w.committed:
		return w.options.ackTimeout - silence
	}
	return w.options.ackTimeout
}

// drain half-closes, and waits for the last acknowledgements.
func (s *stream) drain() error {
	if err := s.call.CloseSend(); err != nil {
		return err
	}
	timer := time.NewTimer(writeTimeout)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
	}
	return nil
}

// hear reads until the stream ends, and then says why it did.
func (s *stream) hear() {
	defer close(s.ended)
	for {
		response := &runwirev1.StreamBatchesResponse{}
		err := s.call.RecvMsg(response)
		if err == nil {
			err = s.take(response)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			s.err = err
			return
		}
	}
}

func (s *stream) take(response *runwirev1.StreamBatchesResponse) error {
	w := s.writer
	switch message := response.Message.(type) {
	case *runwirev1.StreamBatchesResponse_Opened_:
		w.heed(message.Opened.GetAdvice())
		return w.opened(&s.session, message.Opened.GetCommittedSequence())
	case *runwirev1.StreamBatchesResponse_Ack:
		w.acknowledge(message.Ack)
	case *runwirev1.StreamBatchesResponse_Advice:
		w.heed(message.Advice)
	case *runwirev1.StreamBatchesResponse_Closing_:
		w.last(&s.session)
	}
	w.heard(&s.session)
	return nil
}

func (w *Writer) heard(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.heardAt = time.Now()
}

func (w *Writer) last(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.isLast = true
	w.nudge()
}
