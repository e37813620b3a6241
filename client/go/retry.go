package runwire

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// A server that restarts is back within these; one that is away is told within seconds.
	retryAttempts   = 5
	retryFirstDelay = 200 * time.Millisecond
	retryMaxDelay   = 2 * time.Second
	// What a server may ask for, all attempts together.
	retryPatience = 10 * time.Second
)

// retry counts failures in a row and waits between them: what the server asks, and a delay that
// doubles, of which half is left to chance: the other half is time enough for a restart.
type retry struct {
	failures int
	waited   time.Duration
}

func newRetry() *retry { return &retry{} }

// wait returns whether there is to be another attempt, when it is time for it.
func (r *retry) wait(ctx context.Context, err error) bool {
	r.failures++
	if !isPassing(err) || r.failures >= retryAttempts {
		return false
	}
	half := doubled(retryFirstDelay, retryMaxDelay, r.failures-1) / 2
	delay := retryAfter(err) + half + upTo(half)
	r.waited += delay
	if deadline, has := ctx.Deadline(); r.waited > retryPatience || has && time.Until(deadline) <= delay {
		return false
	}
	return sleep(ctx, delay)
}

// sleep returns whether it slept to the end.
func sleep(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter is uniform from 0 to first · 2^doublings, or most: waiting clients do not come back as one.
func jitter(first, most time.Duration, doublings int) time.Duration {
	return upTo(doubled(first, most, doublings))
}

func doubled(first, most time.Duration, doublings int) time.Duration {
	return min(most, first<<min(doublings, 16))
}

func upTo(ceiling time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(ceiling) + 1))
}

func retryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
