package runwire

import (
	"context"
	"errors"
	"time"
)

const (
	heartbeatInterval = 15 * time.Second
	writeTimeout      = 30 * time.Second
	mostUnacked       = 8
	mostUnackedBytes  = 8 << 20
	// Without streams for so long where one has failed for a reason that is not our server's: a
	// proxy may let no stream pass.
	mistrust = 10 * time.Second

	sendFirstDelay = 100 * time.Millisecond
	sendMaxDelay   = 5 * time.Second
	// Faults of the server in a row before a writer gives up.
	mostFaults = 20
)

// work sends what the writer holds, until it is closed and all is acknowledged, or gives up.
func (w *Writer) work() {
	defer close(w.done)
	var link link
	for w.ctx.Err() == nil && !w.isOver() {
		before := w.place()
		err := w.deliver(&link)
		if w.place() > before {
			link.failures = 0
		}
		if err != nil && !w.recover(&link, err) {
			w.giveUp(err)
		}
	}
	if w.ctx.Err() != nil {
		w.giveUp(context.Cause(w.ctx))
	}
}

// link is how it stands between a writer and its server.
type link struct {
	failures    int
	streams     int64     // opened so far
	streamsFrom time.Time // when streams are tried again
	isAway      bool
}

func (w *Writer) deliver(l *link) error {
	if time.Now().Before(l.streamsFrom) {
		return w.sendCalls(l)
	}
	return w.sendStream(l)
}

// isOver tells whether it is closed and nothing is left to send.
func (w *Writer) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status.Err != nil || w.closing && w.acked == w.logged
}

func (w *Writer) place() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.committed
}

// recover waits before another attempt; false: there is to be none.
func (w *Writer) recover(l *link, err error) bool {
	l.failures++
	if !mayPass(err, l.failures) {
		return false
	}
	if !l.isAway && l.failures > 1 {
		l.isAway = true
		w.caller.options.Logger.Warn("runwire: metrics are kept and sent later", "run_id", w.runID, "error", err)
	}
	sleep(w.ctx, retryAfter(err)+jitter(sendFirstDelay, sendMaxDelay, l.failures-1))
	return true
}

// mayPass tells whether the same batch may be taken later.
func mayPass(err error, failures int) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case CodeUnavailable, CodeDeadlineExceeded, CodeCancelled, CodeAborted, CodeUnknown:
		return true
	case CodeResourceExhausted:
		return e.RetryAfter > 0
	case CodeInternal:
		return e.Reason == "" || failures <= mostFaults
	case CodeOutOfRange: // a batch of a stream that was cut is stored late
		return e.Reason == ReasonSequenceGap && failures <= mostFaults
	}
	return false
}

func (w *Writer) giveUp(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status.Err != nil || w.closing && w.acked == w.logged {
		return
	}
	if left := w.logged - w.acked; left > 0 && !errors.Is(err, ErrClosed) {
		w.caller.options.Logger.Error("runwire: a writer gives up", "run_id", w.runID, "unsent", left, "error", err)
	}
	w.status.Err = err
	w.open, w.sealed, w.unacked, w.buffered = openBatch{}, nil, nil, 0
	w.shapes, w.spares = newShapes(), spares{}
	w.tellChange()
	if w.options.OnError != nil && !errors.Is(err, ErrClosed) {
		w.notices.call(func() { w.options.OnError(err) })
	}
}

// session is one stream, or a while of single calls: what was sent in it, and when.
type session struct {
	sent    int64 // sequence of the last batch
	sentAt  time.Time
	heardAt time.Time
	isOpen  bool // the server has answered: batches may follow
	isLast  bool // nothing more is to be sent in it
}

// step is what a session is to do next.
type step struct {
	batch     *batch
	encode    *sealedBatch // first, and then look again
	heartbeat bool
	over      bool
	pause     time.Duration // or to wait so long for news
}

// next decides what to send.
func (w *Writer) next(s *session, window int) step {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	s.sent = max(s.sent, w.committed) // a stream before this one may still be heard of
	under := s.sent - w.committed
	switch {
	case s.isLast || w.closing && w.acked == w.logged:
		return step{over: true}
	case !s.isOpen:
		return step{pause: openTimeout}
	}
	idle := s.sentAt.Add(heartbeatInterval).Sub(now)
	if idle <= 0 {
		return step{heartbeat: true}
	}
	due := w.due(s, now)
	if due > 0 {
		return step{pause: min(due, idle)}
	}
	if pace := s.sentAt.Add(w.advice.minInterval).Sub(now); pace > 0 {
		return step{pause: min(pace, idle)}
	}
	if under >= int64(min(window, w.advice.unacked)) || w.bytesUnder(under) >= mostUnackedBytes {
		return step{pause: idle}
	}
	if under < int64(len(w.unacked)) {
		if under == 0 {
			s.heardAt = now // an answer is due from now on
		}
		return step{batch: w.unacked[under]}
	}
	if len(w.sealed) == 0 {
		w.seal()
	}
	first := w.sealed[0]
	w.sealed = w.sealed[1:]
	return step{encode: first}
}

// due is how long the next batch can wait. Called locked.
func (w *Writer) due(s *session, now time.Time) time.Duration {
	if s.sent-w.committed < int64(len(w.unacked)) || len(w.sealed) > 0 {
		return 0
	}
	if w.open.bytes == 0 {
		return time.Hour
	}
	if w.openedAt.IsZero() {
		w.openedAt = now
	}
	if w.closing || w.urgent > w.sealedTo {
		return 0
	}
	return w.openedAt.Add(w.options.FlushInterval).Sub(now)
}

func (w *Writer) bytesUnder(count int64) int {
	size := 0
	for _, each := range w.unacked[:count] {
		size += len(each.data)
	}
	return size
}

// number gives a sealed batch its sequence; from now on it is kept as it is.
func (w *Writer) number(sealed *sealedBatch) {
	w.mu.Lock()
	w.lastSequence++
	sequence := w.lastSequence
	w.mu.Unlock()
	made := sealed.encode(sequence)
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, each := range made.frames {
		w.spares.put(each.rows)
		made.frames[i].rows = nil
	}
	w.unacked = append(w.unacked, made)
}
