package runwire

import (
	"context"
	"errors"
	"log/slog"
	"sync"
)

// announcer calls back one change at a time. What changes several times meanwhile is told as it
// is in the end, and not at all where that is as it was.
type announcer struct {
	onChange func(Change)
	log      *slog.Logger
	wake     chan struct{}
	mu       sync.Mutex
	latest   []Resolved
	told     map[string]Resolved // of work's goroutine
}

func newAnnouncer(onChange func(Change), log *slog.Logger) *announcer {
	return &announcer{onChange: onChange, log: log, wake: make(chan struct{}, 1), told: map[string]Resolved{}}
}

func (a *announcer) tell(latest []Resolved) {
	a.mu.Lock()
	a.latest = latest
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *announcer) work(ctx context.Context) {
	for {
		for ctx.Err() == nil {
			change := a.next()
			if change == nil {
				break
			}
			a.call(*change)
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
	}
}

// call: a callback's own fault must not end the program that it was to serve.
func (a *announcer) call(change Change) {
	defer func() {
		if fault := recover(); fault != nil {
			a.log.Error("runwire: the callback of a model failed", "reference", change.Reference, "panic", fault)
		}
	}()
	a.onChange(change)
}

func (a *announcer) next() *Change {
	a.mu.Lock()
	latest := a.latest
	a.mu.Unlock()
	for _, now := range latest {
		before, isKnown := a.told[now.Reference]
		a.told[now.Reference] = now
		if !isKnown || !sameContent(before, now) {
			return &Change{now.Reference, before.Version, now.Version, now.Err}
		}
	}
	return nil
}

// sameContent: notes, tags, aliases and stage do not make it another version.
func sameContent(one, other Resolved) bool {
	if one.Version == nil || other.Version == nil {
		return one.Version == other.Version && reasonOf(one.Err) == reasonOf(other.Err)
	}
	return one.Version.Model == other.Version.Model && one.Version.Version == other.Version.Version &&
		one.Version.CreateTime.AsTime().Equal(other.Version.CreateTime.AsTime()) &&
		one.Version.TreeDigest == other.Version.TreeDigest && one.Version.SourceUri == other.Version.SourceUri
}

func reasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
