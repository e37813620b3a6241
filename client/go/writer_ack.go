package runwire

import (
	"fmt"
	"time"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// advice is the server's say on pace.
type advice struct {
	minInterval time.Duration
	unacked     int
	batchBytes  int
}

// opened takes the place from which a new session goes on.
func (w *Writer) opened(s *session, committed int64) error {
	w.mu.Lock()
	known, last := w.committed, w.lastSequence
	w.mu.Unlock()
	if committed < known || committed > last {
		return &Error{
			Code: CodeDataLoss, Reason: ReasonSequenceGap,
			Message: fmt.Sprintf("the server stands at batch %d of this writer, which has sent %d and knows of %d",
				committed, last, known),
		}
	}
	w.acknowledge(&runwirev1.WriteAck{CommittedSequence: committed})
	w.mu.Lock()
	defer w.mu.Unlock()
	s.sent, s.isOpen = committed, true
	s.sentAt, s.heardAt = time.Now(), time.Now()
	w.nudge()
	return nil
}

// acknowledge lets go of what is durable.
func (w *Writer) acknowledge(ack *runwirev1.WriteAck) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.unacked) > 0 && w.unacked[0].sequence <= ack.CommittedSequence {
		first := w.unacked[0]
		w.unacked[0] = nil
		w.unacked = w.unacked[1:]
		w.committed, w.acked = first.sequence, first.end
		w.buffered -= first.bytes
	}
	w.rejected(ack)
	w.tellChange()
	w.nudge()
}

func (w *Writer) rejected(ack *runwirev1.WriteAck) {
	for _, one := range rejectionsOf(ack) {
		w.status.RejectedPoints += one.Points
		if len(w.status.Rejections) < keptRejections {
			w.status.Rejections = append(w.status.Rejections, one)
		}
		if w.options.OnRejection != nil {
			w.notices.call(func() { w.options.OnRejection(one) })
		}
	}
}

// heed takes the server's newest advice.
func (w *Writer) heed(told *runwirev1.WriteAdvice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.advice = advice{told.GetMinInterval().AsDuration(), mostUnacked, w.options.MaxBatchBytes}
	if most := int(told.GetMaxUnackedBatches()); most > 0 {
		w.advice.unacked = min(mostUnacked, most)
	}
	if most := told.GetMaxBatchBytes(); most > 0 {
		w.advice.batchBytes = int(min(int64(w.options.MaxBatchBytes), most))
	}
	w.limit = max(leastBatchBytes, min(w.advice.batchBytes, w.options.MaxBufferedBytes/4)) - batchBytes
	if told.GetStopRequested() && !w.status.StopRequested && w.options.OnStop != nil {
		w.notices.call(w.options.OnStop)
	}
	w.status.StopRequested = told.GetStopRequested()
}
