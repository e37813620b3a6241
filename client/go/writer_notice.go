package runwire

import (
	"log/slog"
	"sync"
)

// notifier calls callbacks one at a time, in their order, off the caller's goroutine. It has a
// goroutine only while there is something to call.
type notifier struct {
	log     *slog.Logger
	mu      sync.Mutex
	waiting []func()
	running bool
}

func (n *notifier) call(callback func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = append(n.waiting, callback)
	if !n.running {
		n.running = true
		go n.run()
	}
}

func (n *notifier) run() {
	for callback := n.next(); callback != nil; callback = n.next() {
		n.guarded(callback)
	}
}

// guarded: a callback's own fault must not end the program that it was to serve.
func (n *notifier) guarded(callback func()) {
	defer func() {
		if fault := recover(); fault != nil {
			n.log.Error("runwire: a callback failed", "panic", fault)
		}
	}()
	callback()
}

func (n *notifier) next() func() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) == 0 {
		n.running = false
		return nil
	}
	callback := n.waiting[0]
	n.waiting = n.waiting[1:]
	return callback
}
