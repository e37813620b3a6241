package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/runwire/runwire/client/go"
)

const firstMicros = 1_700_000_000_000_000

type writer struct{ *runwire.Writer }

type openWriterArgs struct {
	RunID         string `json:"run_id"`
	FlushInterval int    `json:"flush_interval_ms"`
	BatchBytes    int    `json:"max_batch_bytes"`
	BufferedBytes int    `json:"max_buffered_bytes"`
	WhenFull      string `json:"when_full"`
}

type writerOK struct {
	Writer string `json:"writer"`
}

func (r *runner) openWriter(_ context.Context, args openWriterArgs) (writerOK, error) {
	options := &runwire.WriterOptions{
		FlushInterval: time.Duration(args.FlushInterval) * time.Millisecond,
		MaxBatchBytes: args.BatchBytes, MaxBufferedBytes: args.BufferedBytes,
	}
	if args.WhenFull == "drop" {
		options.WhenFull = runwire.Drop
	}
	r.made++
	name := fmt.Sprint("writer-", r.made)
	r.writers[name] = &writer{r.client.Writer(args.RunID, options)}
	return writerOK{name}, nil
}

type writerArgs struct {
	Writer  string   `json:"writer"`
	Timeout *float64 `json:"timeout_s"`
	Points  []point  `json:"points"`
	Key     string   `json:"key"`
	Count   int      `json:"count"`
	Seed    uint64   `json:"seed,string"`
	Threads int      `json:"threads"`
}

func (r *runner) write(ctx context.Context, args writerArgs) (none, error) {
	for _, one := range args.Points {
		err := r.writers[args.Writer].LogMetricAt(ctx, one.Key, one.value(), one.Step, time.UnixMicro(one.Time))
		if err != nil {
			return none{}, err
		}
	}
	return none{}, nil
}

// value is point i of the series of a seed.
func value(seed uint64, i int) float64 {
	z := seed + (uint64(i)+1)*0x9E3779B97F4A7C15
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return float64((z^(z>>31))>>11) * 0x1p-53
}

func (r *runner) writeSeries(ctx context.Context, args writerArgs) (none, error) {
	threads := max(1, args.Threads)
	failures := make([]error, threads)
	var group sync.WaitGroup
	for thread := range threads {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := thread; i < args.Count && failures[thread] == nil; i += threads {
				at := time.UnixMicro(firstMicros + int64(i))
				failures[thread] = r.writers[args.Writer].LogMetricAt(ctx, args.Key, value(args.Seed, i), int64(i), at)
			}
		}()
	}
	group.Wait()
	for _, err := range failures {
		if err != nil {
			return none{}, err
		}
	}
	return none{}, nil
}

func (r *runner) flush(ctx context.Context, args writerArgs) (none, error) {
	ctx, cancel := context.WithTimeout(ctx, seconds(args.Timeout, 120))
	defer cancel()
	return none{}, r.writers[args.Writer].Flush(ctx)
}

func (r *runner) closeWriter(ctx context.Context, args writerArgs) (none, error) {
	ctx, cancel := context.WithTimeout(ctx, seconds(args.Timeout, 120))
	defer cancel()
	return none{}, r.writers[args.Writer].Close(ctx)
}

type statusOK struct {
	StopRequested bool        `json:"stop_requested"`
	DroppedPoints string      `json:"dropped_points"`
	Rejections    []rejection `json:"rejections"`
	WriterID      string      `json:"writer_id"`
	Error         *failure    `json:"error"`
}

func (r *runner) writerStatus(_ context.Context, args writerArgs) (statusOK, error) {
	found := r.writers[args.Writer]
	status := found.Status()
	return statusOK{
		status.StopRequested, strconv.FormatInt(status.DroppedPoints, 10), rejections(status.Rejections), found.ID(), told(status.Err),
	}, nil
}

type benchArgs struct {
	RunID     string `json:"run_id"`
	Reference string `json:"reference"`
	Calls     int    `json:"calls"`
	Keys      int    `json:"keys"`
}

func (r *runner) benchLog(ctx context.Context, args benchArgs) (map[string]float64, error) {
	w := r.client.Writer(args.RunID, nil)
	values := map[string]float64{}
	for key := range args.Keys {
		values[fmt.Sprint("key/", key)] = float64(key)
	}
	took := make([]time.Duration, args.Calls)
	start := time.Now()
	for step := range args.Calls {
		before := time.Now()
		if err := w.Log(ctx, values, int64(step)); err != nil {
			return nil, err
		}
		took[step] = time.Since(before)
	}
	if err := w.Close(ctx); err != nil {
		return nil, err
	}
	total := time.Since(start)
	slices.Sort(took)
	return map[string]float64{
		"call_ns":     float64(took[len(took)/2].Nanoseconds()),
		"call_p99_ns": float64(took[len(took)*99/100].Nanoseconds()),
		"seconds":     total.Seconds(),
	}, nil
}

func timed(calls int, call func() error) (map[string]float64, error) {
	took := make([]time.Duration, calls)
	for i := range took {
		before := time.Now()
		if err := call(); err != nil {
			return nil, err
		}
		took[i] = time.Since(before)
	}
	slices.Sort(took)
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	return map[string]float64{"p50_us": micros(took[calls/2]), "p99_us": micros(took[calls*99/100])}, nil
}

func (r *runner) benchRead(ctx context.Context, args benchArgs) (map[string]float64, error) {
	return timed(args.Calls, func() error { _, err := r.client.Runs.Get(ctx, args.RunID); return err })
}

func (r *runner) benchResolve(ctx context.Context, args benchArgs) (map[string]float64, error) {
	return timed(args.Calls, func() error { _, err := r.client.Models.Resolve(ctx, args.Reference); return err })
}
