package runwire

import (
	"cmp"
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// Runs are the calls about runs: [Client.Runs].
type Runs struct {
	stub      runwirev1.RunServiceClient
	metrics   runwirev1.MetricServiceClient
	workspace string
}

// RunOptions describe a new run; every field may be empty.
type RunOptions struct {
	// Experiment where it goes, by name; made where it does not exist. Empty: that of
	// ExperimentID, else "Default".
	Experiment string
	// ExperimentID instead of its name.
	ExperimentID string
	// RunID is 32 lower-case hex digits. Empty: chosen at random.
	RunID string
	// Name and Description are for people.
	Name, Description string
	// State is StateRunning (0) or StateScheduled.
	State RunState
	// User who started it. Empty: as in Options.
	User string
	// ParentRunID is the run that this one is a part of.
	ParentRunID string
	// StartTime by this machine's clock. Zero: now, by the server's.
	StartTime time.Time
	// Params are what went in; they never change.
	Params map[string]string
	// Tags are free notes.
	Tags map[string]string
	// Source says where it came from.
	Source *Source
	// Inputs are the datasets that it uses.
	Inputs []*DatasetInput
	// Workspace of the experiment. Empty: as in Options.
	Workspace string
}

// Create makes a run, and returns the one that is there where the RunID is in use: a call that was
// tried again makes one run. Fails with [ReasonNotFound] or [ReasonDeleted] for an experiment
// that is not there.
func (r *Runs) Create(ctx context.Context, options *RunOptions) (*Run, error) {
	var o RunOptions
	if options != nil {
		o = *options
	}
	request := &runwirev1.CreateRunRequest{Run: o.run(), ExperimentName: o.Experiment}
	if o.Experiment != "" {
		request.Workspace = cmp.Or(o.Workspace, r.workspace)
	}
	response, err := r.stub.CreateRun(ctx, request)
	return response.GetRun(), err
}

func (o *RunOptions) run() *Run {
	made := &Run{
		RunId: cmp.Or(o.RunID, NewID()), ExperimentId: o.ExperimentID, Name: o.Name, Description: o.Description,
		State: o.State, User: cmp.Or(o.User, loginName()), ParentRunId: o.ParentRunID, Params: o.Params,
		Tags: o.Tags, Source: o.Source, Inputs: o.Inputs,
	}
	if !o.StartTime.IsZero() {
		made.StartTime = timestamppb.New(o.StartTime)
	}
	return made
}

// Get returns a run with its params, tags, last metrics and inputs, also one in the trash. Fails with
// [ReasonNotFound].
func (r *Runs) Get(ctx context.Context, runID string) (*Run, error) {
	response, err := r.stub.GetRun(ctx, &runwirev1.GetRunRequest{RunId: runID})
	return response.GetRun(), err
}

// SearchOptions say which runs are wanted.
type SearchOptions struct {
	// ExperimentIDs to look in. Empty: all of the workspace.
	ExperimentIDs []string
	// Filter, as in "metrics.loss < 0.1 AND params.lr = 0.01". Empty: all.
	Filter string
	// OrderBy, as in "metrics.loss ASC". Empty: the newest first.
	OrderBy string
	// Columns to have of each run: "params.lr", "tags.team", "metrics.loss".
	Columns []string
	// Full has all params, tags, metrics and inputs of each run, and not only the columns.
	Full bool
	// Deleted has those in the trash too.
	Deleted bool
	// PageSize is how many are asked for at a time. 0: 100.
	PageSize int32
	// Workspace of the experiments. Empty: as in Options.
	Workspace string
}

// Search returns the runs that match, page by page as they are read. What it fails with, for
// instance [ReasonFilterSyntax], is the last pair.
//
//	for run, err := range client.Runs.Search(ctx, &runwire.SearchOptions{Filter: "params.lr = 0.01"}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(run.Name)
//	}
func (r *Runs) Search(ctx context.Context, options *SearchOptions) iter.Seq2[*Run, error] {
	var o SearchOptions
	if options != nil {
		o = *options
	}
	request := &runwirev1.SearchRunsRequest{
		ExperimentIds: o.ExperimentIDs, Workspace: cmp.Or(o.Workspace, r.workspace), Filter: o.Filter,
		OrderBy: o.OrderBy, PageSize: o.PageSize, Columns: o.Columns, ShowDeleted: o.Deleted,
	}
	if o.Full {
		request.View = runwirev1.RunView_RUN_VIEW_FULL
	}
	return pages(func(token string) ([]*Run, string, error) {
		request.PageToken = token
		response, err := r.stub.SearchRuns(ctx, request)
		return response.GetRuns(), response.GetNextPageToken(), err
	})
}

// Finish ends a run now, with [StateFinished], [StateFailed] or [StateKilled]; its writers are closed.
// Fails with [ReasonRunSealed] where it is over in another state.
func (r *Runs) Finish(ctx context.Context, runID string, state RunState) (*Run, error) {
	response, err := r.stub.FinishRun(ctx, &runwirev1.FinishRunRequest{RunId: runID, State: state})
	return response.GetRun(), err
}

// Resume makes a run RUNNING again. Writers that were closed stay so: open a new one.
func (r *Runs) Resume(ctx context.Context, runID string) (*Run, error) {
	response, err := r.stub.ResumeRun(ctx, &runwirev1.ResumeRunRequest{RunId: runID})
	return response.GetRun(), err
}

// Stop asks the training job to stop; its writer learns it with the next acknowledgement.
func (r *Runs) Stop(ctx context.Context, runID, reason string) (*Run, error) {
	response, err := r.stub.StopRun(ctx, &runwirev1.StopRunRequest{RunId: runID, Reason: reason})
	return response.GetRun(), err
}

// Delete puts a run in the trash.
func (r *Runs) Delete(ctx context.Context, runID string) (*Run, error) {
	response, err := r.stub.DeleteRun(ctx, &runwirev1.DeleteRunRequest{RunId: runID})
	return response.GetRun(), err
}

// Restore takes a run out of the trash.
func (r *Runs) Restore(ctx context.Context, runID string) (*Run, error) {
	response, err := r.stub.RestoreRun(ctx, &runwirev1.RestoreRunRequest{RunId: runID})
	return response.GetRun(), err
}
