package runwire

import (
	"context"
	"time"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// Rejection is something that the service dropped for good while it kept the rest.
type Rejection struct {
	// Key of the metric, param or tag. Empty: several, too many to list.
	Key string
	// Points dropped; 0 for a param or tag.
	Points int64
	// Reason is [ReasonFieldInvalid], [ReasonTooLarge], [ReasonParamConflict] or [ReasonQuota].
	Reason Reason
	// Message is for people.
	Message string
}

// Point is one value of a metric.
type Point struct {
	Key   string
	Value float64
	Step  int64
	// Time by this machine's clock. Zero: now.
	Time time.Time
}

// LogParams stores params of a run, durable and readable when it returns. A param never changes:
// another value is rejected with [ReasonParamConflict]. Fails with [ReasonNotFound],
// [ReasonDeleted] and [ReasonRunSealed].
func (r *Runs) LogParams(ctx context.Context, runID string, params map[string]string) ([]Rejection, error) {
	return r.log(ctx, runID, &runwirev1.MetricBatch{Params: params})
}

// LogTags stores tags of a run; the last write wins. Otherwise as LogParams.
func (r *Runs) LogTags(ctx context.Context, runID string, tags map[string]string) ([]Rejection, error) {
	return r.log(ctx, runID, &runwirev1.MetricBatch{Tags: tags})
}

// LogMetrics stores some points, with a call of the network each time: for tools and tests. Training
// code wants a [Writer]. Otherwise as LogParams.
func (r *Runs) LogMetrics(ctx context.Context, runID string, points ...Point) ([]Rejection, error) {
	batch := &runwirev1.MetricBatch{}
	now := time.Now()
	for i, point := range points {
		id := uint32(i + 1)
		if point.Time.IsZero() {
			point.Time = now
		}
		batch.Series = append(batch.Series, &runwirev1.SeriesName{Id: id, Key: point.Key})
		batch.Frames = append(batch.Frames, &runwirev1.Frame{
			Series: []uint32{id}, Steps: []int64{point.Step}, TimesMicros: []int64{point.Time.UnixMicro()},
			Values: []float64{point.Value},
		})
	}
	return r.log(ctx, runID, batch)
}

// log sends a batch by a writer of its own: a repeat after a lost answer is not stored twice.
func (r *Runs) log(ctx context.Context, runID string, batch *runwirev1.MetricBatch) ([]Rejection, error) {
	batch.Sequence = 1
	request := &runwirev1.LogBatchRequest{RunId: runID, WriterId: NewID(), Batch: batch}
	response, err := r.metrics.LogBatch(ctx, request)
	return rejectionsOf(response.GetAck()), err
}

func rejectionsOf(ack *runwirev1.WriteAck) []Rejection {
	var found []Rejection
	for _, one := range ack.GetRejections() {
		found = append(found, Rejection{
			Key: one.Key, Points: one.Points, Reason: Reason(one.GetFault().GetReason()), Message: one.GetFault().GetMessage(),
		})
	}
	return found
}
