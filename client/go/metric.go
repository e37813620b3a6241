package runwire

import (
	"context"
	"io"
	"iter"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// Metrics are the calls that read metrics: [Client.Metrics].
type Metrics struct {
	stub runwirev1.MetricServiceClient
}

// Series are the points of one metric of one run, in arrays of one length, by (step, time, arrival).
type Series struct {
	RunID, Key string
	// Steps as they were logged.
	Steps []int64
	// TimesMicros are Unix times in microseconds, as they were logged.
	TimesMicros []int64
	// Values as they were logged, bit for bit.
	Values []float64
}

// ReadOptions say which points are wanted.
type ReadOptions struct {
	// KeyPrefixes are beginnings of keys to have besides the keys.
	KeyPrefixes []string
	// Start (inclusive) and End (exclusive) are steps. Nil: the first, and after the last.
	Start, End *int64
	// MaxPoints of each series, chosen so that they keep the picture: the first, least, greatest
	// and last of each stretch. 0: every point.
	MaxPoints int32
}

// Read returns series of some runs: those of the keys, or all where there are neither keys nor
// prefixes. They come by run as asked for, then by key; a key that a run has not is left out. A
// cut is mended. Fails with [ReasonNotFound], [ReasonDeleted] and [ReasonDataDamaged].
func (m *Metrics) Read(ctx context.Context, runIDs, keys []string, options *ReadOptions) ([]*Series, error) {
	var o ReadOptions
	if options != nil {
		o = *options
	}
	request := &runwirev1.ReadSeriesRequest{
		Select:     &runwirev1.SeriesSelector{RunIds: runIDs, Keys: keys, KeyPrefixes: o.KeyPrefixes},
		RangeStart: o.Start, RangeEnd: o.End, MaxPoints: o.MaxPoints,
		Reduce: runwirev1.ReadSeriesRequest_REDUCE_NONE,
	}
	if o.MaxPoints > 0 {
		request.Reduce = runwirev1.ReadSeriesRequest_REDUCE_SHAPE
	}
	var found []*Series
	for retry := newRetry(); ; {
		err := m.readOn(ctx, request, func(part *runwirev1.ReadSeriesResponse) {
			retry = newRetry()
			found = added(found, part)
		})
		if err == nil {
			return found, nil
		}
		if !retry.wait(ctx, err) {
			return found, err
		}
	}
}

// readOn reads from request.Resume on, and moves that.
func (m *Metrics) readOn(ctx context.Context, request *runwirev1.ReadSeriesRequest, take func(*runwirev1.ReadSeriesResponse)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := m.stub.ReadSeries(ctx, request)
	if err != nil {
		return err
	}
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		take(part)
		request.Resume = part.Resume
	}
}

func added(found []*Series, part *runwirev1.ReadSeriesResponse) []*Series {
	last := len(found) - 1
	if last < 0 || found[last].RunID != part.RunId || found[last].Key != part.Key {
		found = append(found, &Series{RunID: part.RunId, Key: part.Key})
		last++
	}
	series, points := found[last], part.GetPoints()
	series.Steps = append(series.Steps, points.GetSteps()...)
	series.TimesMicros = append(series.TimesMicros, points.GetTimesMicros()...)
	series.Values = append(series.Values, points.GetValues()...)
	return found
}

// List returns the series of a run whose keys begin with prefix, with their counts and extremes,
// by key.
func (m *Metrics) List(ctx context.Context, runID, prefix string) iter.Seq2[*SeriesInfo, error] {
	request := &runwirev1.ListSeriesRequest{RunId: runID, KeyPrefix: prefix}
	return pages(func(token string) ([]*SeriesInfo, string, error) {
		request.PageToken = token
		response, err := m.stub.ListSeries(ctx, request)
		return response.GetSeries(), response.GetNextPageToken(), err
	})
}
