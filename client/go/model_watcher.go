package runwire

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// Change says that a reference means another version: Before and Now (nil: it means nothing, and Err
// says why). Notes, tags and stages of a version make it no other.
type Change struct {
	Reference   string
	Before, Now *ModelVersion
	Err         error
}

// WatcherOptions of a [ModelWatcher]; nil is the same as the zero value.
type WatcherOptions struct {
	// OnChange is called in a goroutine of its own, one change at a time, first with what each
	// reference means at the start. What changes several times while it runs is told once, as it is in
	// the end.
	OnChange func(Change)
	// Workspace of the models. Empty: as in Options.
	Workspace string
}

const mostReferences = 1000

// ModelWatcher knows what references to models mean, and hears of it when that changes. It answers
// from memory, and serves its last answers while no server is there. Safe for many goroutines.
// Close it.
type ModelWatcher struct {
	references []string
	follower   *follower
	announcer  *announcer
	cancel     context.CancelFunc
	done       sync.WaitGroup
	ready      chan struct{}

	mu        sync.Mutex
	meanings  map[string]Resolved
	confirmed time.Time
	connected bool
	err       error // why there is no answer yet
}

// Watch follows references as [Models.Resolve] takes them, 1,000 at most.
func (c *Client) Watch(references []string, options *WatcherOptions) (*ModelWatcher, error) {
	if err := checkReferences(references); err != nil {
		return nil, err
	}
	var o WatcherOptions
	if options != nil {
		o = *options
	}
	ctx, cancel := context.WithCancel(c.ctx)
	w := &ModelWatcher{references: slices.Clone(references), cancel: cancel, ready: make(chan struct{})}
	w.follower = &follower{
		stub: runwirev1.NewRegistryServiceClient(c.caller), log: c.caller.options.Logger,
		workspace: cmp.Or(o.Workspace, c.caller.options.Workspace), references: w.references,
		hear: w.hear, lost: w.lost,
	}
	if o.OnChange != nil {
		w.announcer = newAnnouncer(o.OnChange, c.caller.options.Logger)
		w.done.Add(1)
		go func() { defer w.done.Done(); w.announcer.work(ctx) }()
	}
	w.done.Add(1)
	go func() { defer w.done.Done(); w.follower.work(ctx) }()
	return w, nil
}

// Get returns the version that a reference means, as far as is known, without any I/O. Fails with
// [ReasonNotFound] and whatever else Resolve would have failed with while it means nothing,
// [CodeUnavailable] while nothing was heard of any server.
func (w *ModelWatcher) Get(reference string) (*ModelVersion, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if found, has := w.meanings[reference]; has {
		return found.Version, found.Err
	}
	if !slices.Contains(w.references, reference) {
		return nil, invalid("reference", "%q is not watched", reference)
	}
	if w.err != nil {
		return nil, w.err
	}
	return nil, &Error{Code: CodeUnavailable, Message: "nothing was heard of " + reference + " yet"}
}

// Connected tells whether a server tells of changes now.
func (w *ModelWatcher) Connected() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connected
}

// Age is the time since the answers were last known to be right; while connected there is a
// message every 15 s. False: there are no answers.
func (w *ModelWatcher) Age() (time.Duration, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.confirmed.IsZero() {
		return 0, false
	}
	return time.Since(w.confirmed), true
}

// WaitReady waits until there are answers. Fails with [CodeDeadlineExceeded] or [CodeCancelled].
func (w *ModelWatcher) WaitReady(ctx context.Context) error {
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		return errorOfContext(ctx.Err(), "nothing was heard of any server")
	}
}

// Close ends it; the answers stay. A callback that is under way is waited for, so do not close it
// from there.
func (w *ModelWatcher) Close() {
	w.cancel()
	w.done.Wait()
}

// hear takes what the references mean now, also where that is as before.
func (w *ModelWatcher) hear(answer []Resolved) {
	meanings := make(map[string]Resolved, len(answer))
	for _, one := range answer {
		meanings[one.Reference] = one
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meanings, w.confirmed, w.connected, w.err = meanings, time.Now(), true, nil
	if w.announcer != nil {
		w.announcer.tell(answer)
	}
	select {
	case <-w.ready:
	default:
		close(w.ready)
	}
}

func (w *ModelWatcher) lost(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.connected = false
	if err != nil {
		w.err = err
	}
}

func checkReferences(references []string) error {
	if len(references) < 1 || len(references) > mostReferences {
		return invalid("references", "1 to %d, not %d", mostReferences, len(references))
	}
	for _, reference := range references {
		place := strings.IndexAny(reference, "@/")
		if place < 1 || place == len(reference)-1 {
			return invalid("references", "%q is not MODEL@ALIAS or MODEL/VERSION", reference)
		}
	}
	return nil
}

// modelOf a reference that was checked.
func modelOf(reference string) string { return reference[:strings.IndexAny(reference, "@/")] }
