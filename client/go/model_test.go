package runwire

import (
	"context"
	"errors"
	"sync"
	"testing"

	"google.golang.org/grpc"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// fakeRegistry has one alias, "m@champion"; 0: it is not set.
type fakeRegistry struct {
	runwirev1.UnimplementedRegistryServiceServer
	mu       sync.Mutex
	version  int64
	revision int64
	changed  chan struct{}
	cut      chan struct{} // closed: every watch ends
	after    []int64       // where watches began
}

func newFakeRegistry() *fakeRegistry {
	return &fakeRegistry{version: 1, revision: 1, changed: make(chan struct{}), cut: make(chan struct{})}
}

func (f *fakeRegistry) register(server *grpc.Server) {
	runwirev1.RegisterRegistryServiceServer(server, f)
}

func (f *fakeRegistry) move(version int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version, f.revision = version, f.revision+1
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeRegistry) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.cut)
	f.cut = make(chan struct{})
}

func (f *fakeRegistry) now() (version, revision int64, changed, cut chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.version, f.revision, f.changed, f.cut
}

func (f *fakeRegistry) ResolveModels(_ context.Context, request *runwirev1.ResolveModelsRequest) (*runwirev1.ResolveModelsResponse, error) {
	version, revision, _, _ := f.now()
	response := &runwirev1.ResolveModelsResponse{Revision: revision}
	for _, reference := range request.References {
		one := &runwirev1.ResolveModelsResponse_Resolved{Reference: reference}
		if version > 0 && reference == "m@champion" {
			one.ModelVersion = &ModelVersion{Model: "m", Version: version}
		} else {
			one.Fault = &runwirev1.Fault{Reason: "NOT_FOUND"}
		}
		response.Resolved = append(response.Resolved, one)
	}
	return response, nil
}

func (f *fakeRegistry) WatchModels(request *runwirev1.WatchModelsRequest, stream grpc.ServerStreamingServer[runwirev1.WatchModelsResponse]) error {
	f.mu.Lock()
	f.after = append(f.after, request.GetAfterRevision())
	f.mu.Unlock()
	for told := request.GetAfterRevision(); ; {
		_, revision, changed, cut := f.now()
		event := &runwirev1.WatchModelsResponse{Revision: revision, Event: &runwirev1.WatchModelsResponse_Mark_{}}
		if told > 0 && revision > told {
			event.Event = &runwirev1.WatchModelsResponse_Model{Model: &Model{Name: "m"}}
		}
		if err := stream.Send(event); err != nil {
			return err
		}
		told = revision
		select {
		case <-changed:
			select {
			case <-cut: // first, where both have happened
				return nil
			default:
			}
		case <-cut:
			return nil
		case <-stream.Context().Done():
			return nil
		}
	}
}

func TestWatcherTellsOfEachMoveAndServesFromMemory(t *testing.T) {
	fake := newFakeRegistry()
	changes := make(chan Change, 10)
	watcher, err := serve(t, nil, fake.register).Watch(
		[]string{"m@champion", "m@nobody"}, &WatcherOptions{OnChange: func(one Change) { changes <- one }})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	if err := watcher.WaitReady(within(t)); err != nil {
		t.Fatal(err)
	}
	if one := <-changes; one.Now.GetVersion() != 1 || one.Before != nil {
		t.Errorf("%+v", one)
	}
	if one := <-changes; one.Reference != "m@nobody" || !errors.Is(one.Err, ReasonNotFound) {
		t.Errorf("%+v", one)
	}
	fake.move(2)
	if one := <-changes; one.Before.GetVersion() != 1 || one.Now.GetVersion() != 2 {
		t.Errorf("%+v", one)
	}
	fake.end()
	fake.move(3)
	if one := <-changes; one.Now.GetVersion() != 3 {
		t.Errorf("%+v", one)
	}
	if version, err := watcher.Get("m@champion"); err != nil || version.Version != 3 {
		t.Error(version, err)
	}
	if _, err := watcher.Get("m@nobody"); !errors.Is(err, ReasonNotFound) {
		t.Error(err)
	}
	if _, err := watcher.Get("other@x"); !errors.Is(err, ReasonFieldInvalid) {
		t.Error(err)
	}
	if _, known := watcher.Age(); !known || !watcher.Connected() {
		t.Error("it does not know that it is right")
	}
}

func TestWatcherGoesOnFromTheRevisionThatItHasSeen(t *testing.T) {
	fake := newFakeRegistry()
	changes := make(chan Change, 10)
	watcher, err := serve(t, nil, fake.register).Watch(
		[]string{"m@champion"}, &WatcherOptions{OnChange: func(one Change) { changes <- one }})
	if err != nil {
		t.Fatal(err)
	}
	<-changes
	fake.end()
	fake.move(2)
	<-changes
	watcher.Close()
	if fake.after[0] != 0 || fake.after[1] < 1 {
		t.Errorf("watches began after %v", fake.after)
	}
	if version, err := watcher.Get("m@champion"); err != nil || version.Version != 2 || watcher.Connected() {
		t.Error("a closed watcher keeps its answers", version, err)
	}
}

func TestChangesAreTelledAsTheyAreInTheEnd(t *testing.T) {
	version := func(number int64) []Resolved {
		return []Resolved{{Reference: "m@a", Version: &ModelVersion{Model: "m", Version: number}}}
	}
	a := newAnnouncer(nil, nil)
	a.tell(version(1))
	if change := a.next(); change == nil || change.Now.Version != 1 {
		t.Fatal(change)
	}
	a.tell(version(2))
	a.tell(version(1))
	if change := a.next(); change != nil {
		t.Errorf("%+v: it is as it was", change)
	}
	a.tell(version(3))
	a.tell(version(4))
	if change := a.next(); change == nil || change.Before.Version != 1 || change.Now.Version != 4 {
		t.Errorf("%+v", change)
	}
	if change := a.next(); change != nil {
		t.Errorf("%+v: twice", change)
	}
}

func TestReferencesThatCanNeverMeanAnythingAreRefused(t *testing.T) {
	client := serve(t, nil, newFakeRegistry().register)
	for _, references := range [][]string{nil, {"m"}, {"@a"}, {"m@"}, make([]string, 1001)} {
		if _, err := client.Watch(references, nil); !errors.Is(err, ReasonFieldInvalid) {
			t.Errorf("%v: %v", references, err)
		}
	}
	if _, err := client.Models.Resolve(within(t), "m@nobody"); !errors.Is(err, ReasonNotFound) {
		t.Error(err)
	}
}
