package runwire

import (
	"cmp"
	"time"
)

// Policy says what a [Writer] does while its memory is full.
type Policy int

const (
	// Block waits until there is room, as long as the context allows.
	Block Policy = iota
	// Drop drops the newest points, and counts them.
	Drop
)

// WriterOptions of a [Writer]; the zero value is good, and nil is the same.
type WriterOptions struct {
	// FlushInterval is how long a point waits for others to travel with. 0: 200 ms.
	FlushInterval time.Duration
	// MaxBatchBytes of a batch, serialized. 0: what the server advises, 1 MiB at most.
	MaxBatchBytes int
	// MaxBufferedBytes of points that are not acknowledged, 16 + 8 for each key a row. 0: 64 MiB.
	MaxBufferedBytes int
	// WhenFull says what becomes of points for which there is no room.
	WhenFull Policy
	// OnStop is called once somebody asks the run to stop (Runs.Stop).
	OnStop func()
	// OnRejection is called for what the service dropped for good.
	OnRejection func(Rejection)
	// OnError is called once the service refuses the writer, and it gives up.
	OnError func(error)

	ackTimeout time.Duration // of batches on a stream; tests have less patience
}

const (
	defaultFlushInterval = 200 * time.Millisecond
	defaultBufferedBytes = 64 << 20
	mostBatchBytes       = 1 << 20
	leastBatchBytes      = 16 << 10
	keptRejections       = 100
)

func (given *WriterOptions) settled() WriterOptions {
	var o WriterOptions
	if given != nil {
		o = *given
	}
	o.FlushInterval = cmp.Or(o.FlushInterval, defaultFlushInterval)
	o.MaxBatchBytes = min(mostBatchBytes, cmp.Or(o.MaxBatchBytes, mostBatchBytes))
	o.ackTimeout = cmp.Or(o.ackTimeout, ackTimeout)
	o.MaxBufferedBytes = cmp.Or(o.MaxBufferedBytes, defaultBufferedBytes)
	return o
}

// WriterStatus is how a [Writer] stands.
type WriterStatus struct {
	// StopRequested: somebody asked the run to stop.
	StopRequested bool
	// DroppedPoints for which there was no room.
	DroppedPoints int64
	// RejectedPoints that the service dropped for good.
	RejectedPoints int64
	// Rejections are the first 100 of them.
	Rejections []Rejection
	// BufferedBytes that are not acknowledged.
	BufferedBytes int
	// Err is why it gave up, or nil.
	Err error
}
