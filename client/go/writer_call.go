package runwire

import (
	"context"
	"time"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// sendCalls delivers one batch after the other, each a call of its own, until streams are to be
// tried again.
func (w *Writer) sendCalls(l *link) error {
	s := session{isOpen: true, sent: w.place(), sentAt: time.Now()}
	for time.Now().Before(l.streamsFrom) {
		next := w.next(&s, 1)
		switch {
		case next.over:
			return nil
		case next.encode != nil:
			w.number(next.encode)
		case next.batch != nil || next.heartbeat:
			s.sentAt = time.Now()
			if err := w.call(next.batch); err != nil {
				return err
			}
			l.isAway, l.failures = false, 0
			s.sent = w.place()
		default:
			w.pause(min(next.pause, time.Until(l.streamsFrom)))
		}
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
	}
	return nil
}

// call sends one batch; nil: a heartbeat.
func (w *Writer) call(batch *batch) error {
	ctx, cancel := context.WithTimeout(w.ctx, writeTimeout)
	defer cancel()
	response := &runwirev1.LogBatchResponse{}
	request := batch.callRequest(w.runID, w.id)
	method := runwirev1.MetricService_LogBatch_FullMethodName
	if err := w.caller.attempt(ctx, method, request, response, onWire()); err != nil {
		return err
	}
	w.heed(response.Advice)
	w.acknowledge(response.Ack)
	return nil
}

func (w *Writer) pause(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	case <-w.ctx.Done():
	}
}
