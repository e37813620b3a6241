package main

import (
	"context"
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runwire/runwire/client/go"
)

type messageOK struct {
	Message string `json:"message"`
}

func message(sent proto.Message, err error) (messageOK, error) {
	if err != nil {
		return messageOK{}, err
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(sent)
	return messageOK{base64.StdEncoding.EncodeToString(data)}, err
}

type runner struct {
	client   *runwire.Client
	writers  map[string]*writer
	watchers map[string]*watcher
	made     int
}

func (r *runner) ops() map[string]op {
	return map[string]op{
		"hello": of(r.hello), "connect": of(r.connect), "server_info": of(r.serverInfo),
		"create_run": of(r.createRun), "get_run": of(r.getRun), "cancel_get_run": of(r.cancelGetRun),
		"log_params": of(r.logParams), "log_tags": of(r.logTags), "log_metrics": of(r.logMetrics),
		"finish_run": of(r.finishRun), "search_runs": of(r.searchRuns),
		"open_writer": of(r.openWriter), "write": of(r.write), "write_series": of(r.writeSeries),
		"flush": of(r.flush), "writer_status": of(r.writerStatus), "close_writer": of(r.closeWriter),
		"upload": of(r.upload), "upload_data": of(r.uploadData), "download": of(r.download),
		"download_data": of(r.downloadData), "list_artifacts": of(r.listArtifacts),
		"create_model": of(r.createModel), "create_version": of(r.createVersion), "set_alias": of(r.setAlias),
		"resolve": of(r.resolve), "open_watcher": of(r.openWatcher), "watcher_wait": of(r.watcherWait),
		"watcher_get": of(r.watcherGet), "watcher_status": of(r.watcherStatus), "close_watcher": of(r.closeWatcher),
		"reserialize": of(r.reserialize), "bench_log": of(r.benchLog), "bench_resolve": of(r.benchResolve),
		"bench_read": of(r.benchRead),
	}
}

func (r *runner) hello(context.Context, none) (map[string]any, error) {
	return map[string]any{
		"language": "go", "version": runwire.Version, "transport": "grpc",
		"capabilities": []string{
			"runs", "search", "writer", "bounded", "files", "streams", "registry", "watcher", "cancel", "tls",
		},
	}, nil
}

type connectArgs struct {
	URI     string   `json:"uri"`
	Token   string   `json:"token"`
	Timeout *float64 `json:"timeout_s"`
}

func (r *runner) connect(_ context.Context, args connectArgs) (none, error) {
	r.close()
	options := &runwire.Options{Token: args.Token, Timeout: seconds(args.Timeout, 30)}
	client, err := runwire.NewClient(args.URI, options)
	r.client, r.writers, r.watchers = client, map[string]*writer{}, map[string]*watcher{}
	return none{}, err
}

func (r *runner) close() {
	for _, each := range r.watchers {
		each.Close()
	}
	if r.client != nil {
		r.client.Close()
	}
}

func seconds(given *float64, otherwise float64) time.Duration {
	if given != nil {
		otherwise = *given
	}
	return time.Duration(otherwise * float64(time.Second))
}

func (r *runner) serverInfo(ctx context.Context, _ none) (messageOK, error) {
	return message(r.client.ServerInfo(ctx))
}

type createRunArgs struct {
	Experiment string            `json:"experiment_name"`
	Name       string            `json:"name"`
	Params     map[string]string `json:"params"`
	Tags       map[string]string `json:"tags"`
}

func (r *runner) createRun(ctx context.Context, args createRunArgs) (messageOK, error) {
	return message(r.client.Runs.Create(ctx, &runwire.RunOptions{
		Experiment: args.Experiment, Name: args.Name, Params: args.Params, Tags: args.Tags,
	}))
}

type runArgs struct {
	RunID   string            `json:"run_id"`
	Timeout *float64          `json:"timeout_s"`
	AfterMS int               `json:"after_ms"`
	State   string            `json:"state"`
	Params  map[string]string `json:"params"`
	Tags    map[string]string `json:"tags"`
}

func (r *runner) getRun(ctx context.Context, args runArgs) (messageOK, error) {
	if args.Timeout != nil {
		limited, cancel := context.WithTimeout(ctx, seconds(args.Timeout, 0))
		defer cancel()
		ctx = limited
	}
	return message(r.client.Runs.Get(ctx, args.RunID))
}

func (r *runner) cancelGetRun(ctx context.Context, args runArgs) (messageOK, error) {
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(time.Duration(args.AfterMS)*time.Millisecond, cancel)
	return message(r.client.Runs.Get(ctx, args.RunID))
}

type rejection struct {
	Key    string `json:"key"`
	Reason string `json:"reason"`
}

type rejectionsOK struct {
	Rejections []rejection `json:"rejections"`
}

func rejections(found []runwire.Rejection) []rejection {
	made := make([]rejection, len(found))
	for i, one := range found {
		made[i] = rejection{one.Key, string(one.Reason)}
	}
	return made
}

func (r *runner) logParams(ctx context.Context, args runArgs) (rejectionsOK, error) {
	found, err := r.client.Runs.LogParams(ctx, args.RunID, args.Params)
	return rejectionsOK{rejections(found)}, err
}

func (r *runner) logTags(ctx context.Context, args runArgs) (rejectionsOK, error) {
	found, err := r.client.Runs.LogTags(ctx, args.RunID, args.Tags)
	return rejectionsOK{rejections(found)}, err
}

type point struct {
	Key  string `json:"key"`
	Step int64  `json:"step,string"`
	Time int64  `json:"time_micros,string"`
	Bits string `json:"bits"`
}

func (p point) value() float64 {
	bits, _ := strconv.ParseUint(p.Bits, 16, 64)
	return math.Float64frombits(bits)
}

type logMetricsArgs struct {
	RunID   string  `json:"run_id"`
	Metrics []point `json:"metrics"`
}

func (r *runner) logMetrics(ctx context.Context, args logMetricsArgs) (rejectionsOK, error) {
	points := make([]runwire.Point, len(args.Metrics))
	for i, one := range args.Metrics {
		points[i] = runwire.Point{Key: one.Key, Step: one.Step, Value: one.value()}
	}
	found, err := r.client.Runs.LogMetrics(ctx, args.RunID, points...)
	return rejectionsOK{rejections(found)}, err
}

func (r *runner) finishRun(ctx context.Context, args runArgs) (messageOK, error) {
	states := map[string]runwire.RunState{
		"": runwire.StateFinished, "FINISHED": runwire.StateFinished, "FAILED": runwire.StateFailed, "KILLED": runwire.StateKilled,
	}
	return message(r.client.Runs.Finish(ctx, args.RunID, states[args.State]))
}

type searchArgs struct {
	Filter   string `json:"filter"`
	OrderBy  string `json:"order_by"`
	PageSize int32  `json:"page_size"`
}

type searchOK struct {
	RunIDs []string `json:"run_ids"`
}

func (r *runner) searchRuns(ctx context.Context, args searchArgs) (searchOK, error) {
	found := searchOK{RunIDs: []string{}}
	options := &runwire.SearchOptions{Filter: args.Filter, OrderBy: args.OrderBy, PageSize: args.PageSize}
	for run, err := range r.client.Runs.Search(ctx, options) {
		if err != nil {
			return found, err
		}
		found.RunIDs = append(found.RunIDs, run.RunId)
	}
	return found, nil
}
