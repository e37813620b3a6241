package runwire

import (
	"context"
	"sync"
	"time"
)

// Writer logs to one run. Logging does no I/O: rows are kept in memory, sent in batches some
// hundred milliseconds later, and again after any loss of contact until they are acknowledged,
// each once. Safe for many goroutines.
//
// Close it: what is not acknowledged when the process ends is lost. Callbacks of its options are
// called one at a time in a goroutine of their own; they must not wait for Flush or Close.
type Writer struct {
	runID, id string
	options   WriterOptions
	caller    *caller
	ctx       context.Context // over once it need not send any more
	cancel    context.CancelCauseFunc
	done      chan struct{} // closed when nothing of it runs
	wake      chan struct{} // for the sender: there is something to look at
	notices   notifier

	mu      sync.Mutex
	shapes  shapes
	open    openBatch
	spares  spares
	sealed  []*sealedBatch
	unacked []*batch // with sequences from committed + 1 on
	changed chan struct{}

	limit    int // of a batch, as advised
	buffered int // bytes of all that is not acknowledged
	logged   int64
	acked    int64 // of the logged entries, as are urgent and sealedTo
	sealedTo int64
	urgent   int64     // send up to here at once
	openedAt time.Time // when the sender first saw the open batch

	committed, lastSequence int64
	advice                  advice
	closing                 bool
	isFull                  bool
	status                  WriterStatus
}

// Writer opens a writer to a run, which need not be there yet: what is wrong with it is told by
// Flush, Close and OnError.
func (c *Client) Writer(runID string, options *WriterOptions) *Writer {
	o := options.settled()
	ctx, cancel := context.WithCancelCause(c.ctx)
	w := &Writer{
		runID: runID, id: NewID(), options: o, caller: c.caller, ctx: ctx, cancel: cancel,
		done: make(chan struct{}), wake: make(chan struct{}, 1), changed: make(chan struct{}),
		shapes: newShapes(), notices: notifier{log: c.caller.options.Logger},
	}
	w.heed(nil)
	go w.work()
	return w
}

// ID is the random id under which the service knows this writer.
func (w *Writer) ID() string { return w.id }

// Log logs a row of values at a step, at the present time. It waits only while the writer is full
// (see [Block]), and fails only where that outlasts the context, a key is no UTF-8, or the
// writer is closed or has given up.
func (w *Writer) Log(ctx context.Context, values map[string]float64, step int64) error {
	return w.log(ctx, values, step, time.Now().UnixMicro())
}

// LogAt is Log at another time.
func (w *Writer) LogAt(ctx context.Context, values map[string]float64, step int64, at time.Time) error {
	return w.log(ctx, values, step, at.UnixMicro())
}

// LogMetric logs one value at a step, at the present time; see Log.
func (w *Writer) LogMetric(ctx context.Context, key string, value float64, step int64) error {
	return w.logMetric(ctx, key, value, step, time.Now().UnixMicro())
}

// LogMetricAt is LogMetric at another time.
func (w *Writer) LogMetricAt(ctx context.Context, key string, value float64, step int64, at time.Time) error {
	return w.logMetric(ctx, key, value, step, at.UnixMicro())
}

// LogParams logs params, in order with the metrics; see Log. A param never changes: another
// value is rejected.
func (w *Writer) LogParams(ctx context.Context, params map[string]string) error {
	return w.logNotes(ctx, params, asParam)
}

// LogTags logs tags, in order with the metrics; see Log. The last one of a key holds.
func (w *Writer) LogTags(ctx context.Context, tags map[string]string) error {
	return w.logNotes(ctx, tags, asTag)
}

func (w *Writer) log(ctx context.Context, values map[string]float64, step, micros int64) error {
	if len(values) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if fits, err := w.makeRoom(ctx, rowBytes(len(values)), len(values)); !fits {
		return err
	}
	row, err := w.shapes.find(values)
	if err == nil {
		w.add(row, step, micros)
	}
	return err
}

func (w *Writer) logMetric(ctx context.Context, key string, value float64, step, micros int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if fits, err := w.makeRoom(ctx, rowBytes(1), 1); !fits {
		return err
	}
	row, err := w.shapes.single(key, value)
	if err == nil {
		w.add(row, step, micros)
	}
	return err
}

// logNotes logs params or tags, an entry each.
func (w *Writer) logNotes(ctx context.Context, notes map[string]string, kind noteKind) error {
	for key, value := range notes {
		if err := w.logNote(ctx, kind, key, value); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) logNote(ctx context.Context, kind noteKind, key, value string) error {
	size, err := noteBytes(key, value)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if fits, err := w.makeRoom(ctx, size, 0); !fits {
		return err
	}
	if w.open.bytes+size > w.limit || w.open.contradicts(kind, key, value) {
		w.seal()
	}
	w.open.addNote(kind, key, value)
	w.grew(size)
	return nil
}

// add stores the row that shapes has matched. Called locked.
func (w *Writer) add(row *rowShape, step, micros int64) {
	for i, part := range row.parts {
		size := part.cost()
		if w.open.bytes > 0 && w.open.bytes+size > w.limit {
			w.seal()
			size = part.cost()
		}
		if part.rows == nil {
			w.open.begin(part, w.spares.take())
		}
		part.rows.add(step, micros, w.shapes.matched[row.starts[i]:row.starts[i+1]])
		w.grew(size)
	}
}

// grew counts an entry of the open batch. Called locked.
func (w *Writer) grew(size int) {
	if w.open.bytes == 0 {
		w.nudge()
	}
	w.open.bytes += size
	w.buffered += size
	w.logged++
}

// seal closes the open batch: it changes no more. Called locked.
func (w *Writer) seal() {
	if w.open.bytes == 0 {
		return
	}
	w.sealed = append(w.sealed, w.open.seal(w.logged))
	w.sealedTo, w.openedAt = w.logged, time.Time{}
	w.nudge()
}

// Flush waits until all that was logged before it is acknowledged: durable and readable. Fails
// with [CodeDeadlineExceeded] or [CodeCancelled] where the context ends before (the writer goes on
// sending), and with what the writer gave up for.
func (w *Writer) Flush(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	target := w.logged
	for w.acked < target {
		if w.status.Err != nil {
			return w.status.Err
		}
		w.hurry()
		if err := w.waitForChange(ctx); err != nil {
			return errorOfContext(err, "not everything is acknowledged")
		}
	}
	return w.status.Err
}

// Close flushes and ends the writer; where the context ends before, what is left is lost. Fails as
// Flush does. Closed again it does nothing.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closing = true
	w.tellChange()
	w.mu.Unlock()
	w.nudge()
	err := w.Flush(ctx)
	if err != nil {
		w.cancel(ErrClosed)
	}
	select {
	case <-w.done:
	case <-ctx.Done(): // all is acknowledged; only the goodbye is left
		w.cancel(ErrClosed)
		<-w.done
	}
	w.cancel(ErrClosed)
	return err
}

// Status tells how it stands now.
func (w *Writer) Status() WriterStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := w.status
	found.BufferedBytes = w.buffered
	return found
}

// StopRequested tells whether somebody asked the run to stop.
func (w *Writer) StopRequested() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status.StopRequested
}
