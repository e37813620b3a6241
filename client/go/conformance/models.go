package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/runwire/runwire/client/go"
)

type modelArgs struct {
	Name     string   `json:"name"`
	Model    string   `json:"model"`
	RunID    string   `json:"run_id"`
	Path     string   `json:"artifact_path"`
	Aliases  []string `json:"aliases"`
	Alias    string   `json:"alias"`
	Version  string   `json:"version"`
	Expected *string  `json:"expected_version"`
}

func (r *runner) createModel(ctx context.Context, args modelArgs) (messageOK, error) {
	return message(r.client.Models.Create(ctx, args.Name, nil))
}

func (r *runner) createVersion(ctx context.Context, args modelArgs) (messageOK, error) {
	return message(r.client.Models.CreateVersion(ctx, args.Model, &runwire.VersionOptions{
		RunID: args.RunID, Path: args.Path, Aliases: args.Aliases,
	}))
}

func (r *runner) setAlias(ctx context.Context, args modelArgs) (none, error) {
	version, err := strconv.ParseInt(args.Version, 10, 64)
	if err != nil {
		return none{}, err
	}
	options := &runwire.AliasOptions{}
	if args.Expected != nil {
		expected, err := strconv.ParseInt(*args.Expected, 10, 64)
		if err != nil {
			return none{}, err
		}
		options.Expected = &expected
	}
	_, err = r.client.Models.SetAlias(ctx, args.Model, args.Alias, version, options)
	return none{}, err
}

type referencesArgs struct {
	References []string `json:"references"`
}

type resolvedOK struct {
	Reference string  `json:"reference"`
	Version   *string `json:"version"`
	Reason    *string `json:"reason"`
}

func versionText(version *runwire.ModelVersion) *string {
	if version == nil {
		return nil
	}
	text := strconv.FormatInt(version.Version, 10)
	return &text
}

func (r *runner) resolve(ctx context.Context, args referencesArgs) (map[string][]resolvedOK, error) {
	found, err := r.client.Models.ResolveAll(ctx, args.References...)
	made := make([]resolvedOK, len(found))
	for i, one := range found {
		made[i] = resolvedOK{Reference: one.Reference, Version: versionText(one.Version)}
		var e *runwire.Error
		if errors.As(one.Err, &e) {
			made[i].Reason = (*string)(&e.Reason)
		}
	}
	return map[string][]resolvedOK{"resolved": made}, err
}

type change struct {
	Reference string  `json:"reference"`
	Version   *string `json:"version"`
}

type watcher struct {
	*runwire.ModelWatcher
	mu      sync.Mutex
	changes []change
	told    chan struct{}
}

func (w *watcher) hear(told runwire.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, change{told.Reference, versionText(told.Now)})
	close(w.told)
	w.told = make(chan struct{})
}

func (w *watcher) heard() ([]change, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes), w.told
}

func (r *runner) openWatcher(_ context.Context, args referencesArgs) (map[string]string, error) {
	made := &watcher{told: make(chan struct{})}
	var err error
	made.ModelWatcher, err = r.client.Watch(args.References, &runwire.WatcherOptions{OnChange: made.hear})
	if err != nil {
		return nil, err
	}
	r.made++
	name := fmt.Sprint("watcher-", r.made)
	r.watchers[name] = made
	return map[string]string{"watcher": name}, nil
}

type watcherArgs struct {
	Watcher   string   `json:"watcher"`
	Reference string   `json:"reference"`
	Version   string   `json:"version"`
	Timeout   *float64 `json:"timeout_s"`
}

func (r *runner) watcherWait(ctx context.Context, args watcherArgs) (map[string][]change, error) {
	ctx, cancel := context.WithTimeout(ctx, seconds(args.Timeout, 120))
	defer cancel()
	for {
		changes, told := r.watchers[args.Watcher].heard()
		isDue := func(one change) bool {
			return one.Reference == args.Reference && one.Version != nil && *one.Version == args.Version
		}
		if slices.ContainsFunc(changes, isDue) {
			return map[string][]change{"changes": changes}, nil
		}
		select {
		case <-told:
		case <-ctx.Done():
			return nil, &runwire.Error{Code: runwire.CodeDeadlineExceeded, Message: fmt.Sprint("it was not told: ", changes)}
		}
	}
}

func (r *runner) watcherGet(_ context.Context, args watcherArgs) (map[string]*string, error) {
	version, err := r.watchers[args.Watcher].Get(args.Reference)
	return map[string]*string{"version": versionText(version)}, err
}

func (r *runner) watcherStatus(_ context.Context, args watcherArgs) (map[string]bool, error) {
	return map[string]bool{"connected": r.watchers[args.Watcher].Connected()}, nil
}

func (r *runner) closeWatcher(_ context.Context, args watcherArgs) (none, error) {
	r.watchers[args.Watcher].Close()
	delete(r.watchers, args.Watcher)
	return none{}, nil
}
