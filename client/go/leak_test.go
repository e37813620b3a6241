package runwire

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// noLeaks fails a test that leaves a goroutine of ours, or of gRPC, behind.
func noLeaks(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		deadline := time.Now().Add(60 * time.Second)
		for left := leaked(); len(left) > 0; left = leaked() {
			if time.Now().After(deadline) {
				t.Fatalf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
			}
			time.Sleep(time.Millisecond) // until they have ended
		}
	})
}

func leaked() []string {
	buffer := make([]byte, 1<<20)
	buffer = buffer[:runtime.Stack(buffer, true)]
	var found []string
	for stack := range strings.SplitSeq(string(buffer), "\n\n") {
		isOurs := strings.Contains(stack, "runwire/client/go.") || strings.Contains(stack, "google.golang.org/grpc")
		if isOurs && !strings.Contains(stack, "runwire.leaked") && !strings.Contains(stack, "testing.tRunner") {
			found = append(found, stack)
		}
	}
	return found
}
