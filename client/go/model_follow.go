package runwire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

const (
	followFirstDelay = 250 * time.Millisecond
	followMaxDelay   = 5 * time.Second
)

// follower watches models, and asks again what the references mean when one of them changes: so
// it need not know what a change of a stage or a name does to a reference.
type follower struct {
	stub       runwirev1.RegistryServiceClient
	log        *slog.Logger
	workspace  string
	references []string
	hear       func([]Resolved)
	lost       func(error)

	answer      []Resolved
	revision    int64 // where to go on from; 0: begin anew
	isConnected bool
	isTold      bool // of what keeps it from following
}

// work follows until the context ends, over restarts and outages.
func (f *follower) work(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		err := f.follow(ctx)
		failures++
		if f.isConnected {
			failures = 1
		}
		f.isConnected = false
		if ctx.Err() != nil {
			err = ErrClosed
		}
		f.lost(err)
		f.report(err)
		sleep(ctx, retryAfter(err)+jitter(followFirstDelay, followMaxDelay, failures))
	}
}

// report tells it once when it begins; what goes on like that is no news.
func (f *follower) report(err error) {
	if err == nil || f.isTold || errors.Is(err, ReasonDraining) || errors.Is(err, ErrClosed) {
		return
	}
	f.isTold = true
	f.log.Warn("runwire: models are not followed, the last answers are served", "error", err)
}

// follow is one connection up to its end.
func (f *follower) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := f.stub.WatchModels(ctx, f.request())
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if response.GetExpired() != nil {
			f.revision = 0 // the registry has another past now
			return nil
		}
		if err := f.take(ctx, response); err != nil {
			return err
		}
	}
}

func (f *follower) request() *runwirev1.WatchModelsRequest {
	made := &runwirev1.WatchModelsRequest{Workspace: f.workspace, LastOnly: true}
	for _, reference := range f.references {
		made.Models = append(made.Models, modelOf(reference))
	}
	slices.Sort(made.Models)
	made.Models = slices.Compact(made.Models)
	if f.revision > 0 {
		made.Start = &runwirev1.WatchModelsRequest_AfterRevision{AfterRevision: f.revision}
	}
	return made
}

func (f *follower) take(ctx context.Context, response *runwirev1.WatchModelsResponse) error {
	isNews := response.Revision > f.revision && response.GetMark() == nil
	if isNews || !f.isConnected {
		if err := f.ask(ctx, response.Revision); err != nil {
			return err
		}
	}
	f.revision = max(f.revision, response.Revision)
	f.isConnected, f.isTold = true, false
	f.hear(f.answer)
	return nil
}

// ask resolves all references, those that did not fit the first answer in further ones.
func (f *follower) ask(ctx context.Context, revision int64) error {
	answer := make([]Resolved, len(f.references))
	places := make([]int, len(f.references))
	for i := range places {
		places[i] = i
	}
	for len(places) > 0 {
		response, err := f.stub.ResolveModels(ctx, f.resolving(places, revision))
		if errors.Is(err, ReasonRevisionAhead) {
			f.revision = 0
		}
		if err != nil {
			return err
		}
		revision = response.Revision
		var left []int
		for i, one := range response.Resolved {
			answer[places[i]] = resolvedOf(one)
			if Reason(one.GetFault().GetReason()) == ReasonTooLarge {
				left = append(left, places[i])
			}
		}
		places = left
	}
	f.answer, f.revision = answer, max(f.revision, revision)
	return nil
}

func (f *follower) resolving(places []int, revision int64) *runwirev1.ResolveModelsRequest {
	made := &runwirev1.ResolveModelsRequest{Workspace: f.workspace, MinRevision: revision}
	for _, place := range places {
		made.References = append(made.References, f.references[place])
	}
	return made
}
