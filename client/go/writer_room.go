package runwire

import "context"

// makeRoom waits until so many bytes fit; false: they are not to be logged. Called locked, and
// unlocks while it waits.
func (w *Writer) makeRoom(ctx context.Context, size, points int) (bool, error) {
	for {
		switch {
		case w.status.Err != nil:
			return false, w.status.Err
		case w.closing:
			return false, ErrClosed
		case w.buffered == 0 || w.buffered+size <= w.options.MaxBufferedBytes:
			w.isFull = false
			return true, nil
		case w.options.WhenFull == Drop:
			w.drop(points)
			return false, nil
		}
		w.hurry()
		if err := w.waitForChange(ctx); err != nil {
			return false, errorOfContext(err, "the writer is full")
		}
	}
}

func (w *Writer) drop(points int) {
	w.status.DroppedPoints += int64(points)
	if !w.isFull {
		w.isFull = true
		w.caller.options.Logger.Warn("runwire: a writer is full and drops points", "run_id", w.runID)
	}
	w.hurry()
}

// hurry has all that is logged sent without waiting for more. Called locked.
func (w *Writer) hurry() {
	if w.urgent < w.logged {
		w.urgent = w.logged
		w.nudge()
	}
}

// waitForChange unlocks until something is acknowledged, or the writer ends. Called locked.
func (w *Writer) waitForChange(ctx context.Context) error {
	changed := w.changed
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tellChange wakes all who wait. Called locked.
func (w *Writer) tellChange() {
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
