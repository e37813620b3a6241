package runwire

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// meter adds up what transfers have done.
type meter struct {
	mu          sync.Mutex
	done, total int64
	isGrowing   bool // the total is told by the first answer
	progress    func(done, total int64)
}

func newMeter(options *TransferOptions, total int64) *meter {
	made := &meter{total: total, isGrowing: total == 0}
	if options != nil {
		made.progress = options.Progress
	}
	if !made.isGrowing {
		made.add(0)
	}
	return made
}

func (m *meter) add(count int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += count
	if m.progress != nil {
		m.progress(m.done, m.total)
	}
}

// grow takes the size of a file that was not known before.
func (m *meter) grow(size int64) {
	if m.isGrowing {
		m.total += size
		m.add(0)
	}
}

// inParallel does n things, some at a time; the first failure ends the others.
func inParallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	places := make(chan int)
	var group sync.WaitGroup
	var once sync.Once
	var first error
	for range min(n, transfersAtOnce) {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range places {
				if err := do(limited, i); err != nil {
					once.Do(func() { first = err })
					cancel()
				}
			}
		}()
	}
	hand(limited, places, n)
	group.Wait()
	return ended(ctx, first, "transferring")
}

func hand(ctx context.Context, places chan<- int, n int) {
	defer close(places)
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case places <- i:
		case <-ctx.Done():
		}
	}
}

const (
	// So many attempts, and half a minute, without a single byte: longer than a server's restart.
	patienceAttempts   = 8
	patienceTime       = 30 * time.Second
	patienceFirstDelay = 200 * time.Millisecond
	patienceMaxDelay   = 8 * time.Second
)

// patience is how long a transfer goes on through cuts: it counts failures since the last progress.
type patience struct {
	mu       sync.Mutex
	failures int
	first    time.Time // of the failures
}

func (p *patience) progress() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = 0
}

// wait returns whether to try again, when it is time for it. again: the caller knows that another
// attempt can help.
func (p *patience) wait(ctx context.Context, err error, again bool) bool {
	failures := p.fail(time.Now())
	if !again && !isCut(err) || failures == 0 {
		return false
	}
	delay := min(patienceMaxDelay, patienceFirstDelay<<min(failures-1, 10))
	delay = max(delay, retryAfter(err))
	return sleep(ctx, time.Duration(float64(delay)*(0.5+rand.Float64()/2)))
}

// fail counts a failure; 0: there were enough, for long enough.
func (p *patience) fail(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures == 0 {
		p.first = now
	}
	p.failures++
	if p.failures >= patienceAttempts && now.Sub(p.first) >= patienceTime {
		return 0
	}
	return p.failures
}

// isCut: a fault of the transport, or of a call that lost its place. A full disk is none: what was
// acknowledged waits for the next upload.
func isCut(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case ReasonOffsetGap, ReasonChecksumMismatch:
		return true
	case ReasonStorageUnavailable:
		return false
	case "":
		return e.Code == CodeUnavailable || e.Code == CodeInternal || e.Code == CodeUnknown || e.Code == CodeDeadlineExceeded || e.Code == CodeCancelled
	}
	return e.Code == CodeUnavailable
}
