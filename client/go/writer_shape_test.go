package runwire

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// rows of random key sets are put into batches, and read from their bytes again.
func TestBatchesHaveEveryRowOfEverySetOfKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := &Writer{shapes: newShapes(), limit: 4096, wake: make(chan struct{}, 1)}
	logged := map[string][]float64{}
	for row := range 2000 {
		values := map[string]float64{}
		for range 1 + random.IntN(6) {
			values[fmt.Sprint("key/", random.IntN(9))] = random.Float64()
		}
		found, err := w.shapes.find(values)
		if err != nil {
			t.Fatal(err)
		}
		w.add(found, int64(row), int64(row))
		for key, value := range values {
			logged[key] = append(logged[key], value)
		}
	}
	w.seal()
	read := map[string]map[int64]float64{}
	for i, sealed := range w.sealed {
		encoded := sealed.encode(int64(i + 1))
		if len(encoded.data) > w.limit+batchBytes {
			t.Errorf("a batch of %d bytes", len(encoded.data))
		}
		readBatch(t, encoded, read)
	}
	for key, values := range logged {
		if len(read[key]) != len(values) {
			t.Fatalf("%s has %d points, not %d", key, len(read[key]), len(values))
		}
	}
}

// readBatch takes a batch as a server does: with the names that came beside it.
func readBatch(t *testing.T, encoded *batch, into map[string]map[int64]float64) {
	t.Helper()
	var data []byte
	for _, part := range encoded.callRequest("run", "writer") {
		data = append(data, part...)
	}
	request := &runwirev1.LogBatchRequest{}
	if err := proto.Unmarshal(data, request); err != nil {
		t.Fatal(err)
	}
	if request.RunId != "run" || request.WriterId != "writer" || request.Batch.Sequence != encoded.sequence {
		t.Fatalf("request %v", request)
	}
	names := map[uint32]string{}
	for _, one := range request.Series {
		names[one.Id] = one.Key
	}
	for _, frame := range request.Batch.Frames {
		for i, value := range frame.Values {
			key, step := names[frame.Series[i%len(frame.Series)]], frame.Steps[i/len(frame.Series)]
			if into[key] == nil {
				into[key] = map[int64]float64{}
			}
			into[key][step] = value
		}
	}
}

func TestWideRowIsSplitSoThatItFitsABatch(t *testing.T) {
	w := &Writer{shapes: newShapes(), limit: mostBatchBytes - batchBytes, wake: make(chan struct{}, 1)}
	values := map[string]float64{}
	for i := range 100_000 {
		values[fmt.Sprintf("%s/%d", strings.Repeat("long", 20), i)] = float64(i)
	}
	found, err := w.shapes.find(values)
	if err != nil {
		t.Fatal(err)
	}
	w.add(found, 1, 1)
	w.seal()
	read := map[string]map[int64]float64{}
	for i, sealed := range w.sealed {
		encoded := sealed.encode(int64(i + 1))
		if len(encoded.data) > mostBatchBytes {
			t.Errorf("a batch of %d bytes", len(encoded.data))
		}
		readBatch(t, encoded, read)
	}
	for key, value := range values {
		if read[key][1] != value {
			t.Fatalf("%s is %v", key, read[key])
		}
	}
	if again, _ := w.shapes.find(values); again != found {
		t.Error("the same keys are another shape")
	}
}

func TestSetsOfKeysAreForgottenWhereTheyAreTooMany(t *testing.T) {
	s := newShapes()
	for i := range 2*mostShapes + 10 {
		if _, err := s.find(map[string]float64{fmt.Sprint(i % 300): 1, fmt.Sprint("x", i/300): 1}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.byKeys) > mostShapes {
		t.Errorf("%d sets are remembered", len(s.byKeys))
	}
}

func TestLoggingAKnownRowAllocatesNothing(t *testing.T) {
	w := &Writer{shapes: newShapes(), limit: 1 << 30, wake: make(chan struct{}, 1)}
	w.options = (&WriterOptions{MaxBufferedBytes: 1 << 30}).settled()
	values := map[string]float64{"loss": 1, "accuracy": 2, "lr": 3}
	ctx := t.Context()
	count := testing.AllocsPerRun(10_000, func() { _ = w.Log(ctx, values, 1) })
	if count != 0 {
		t.Errorf("%v allocations a call", count)
	}
}

func TestKeysThatLookLikeOthersJoinedAreASetOfTheirOwn(t *testing.T) {
	s := newShapes()
	for _, separator := range []string{"\x00", "\x1f", "\n"} {
		pair, err := s.find(map[string]float64{"a": 1, "b" + separator: 2})
		if err != nil {
			t.Fatal(err)
		}
		one, err := s.find(map[string]float64{"a" + separator + "b" + separator: 3})
		if err != nil || one == pair || len(s.matched) != 1 || s.matched[0] != 3 {
			t.Errorf("%q: %v, %v", separator, s.matched, err)
		}
	}
	if _, err := s.find(map[string]float64{"a": 1, "b\x00": 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.find(map[string]float64{"a\xffb\x00": 1}); !errors.Is(err, ReasonFieldInvalid) {
		t.Errorf("a key that is no UTF-8: %v", err)
	}
}

func TestMemoryBesideTheBufferDoesNotGrowWithTheSeries(t *testing.T) {
	w := &Writer{shapes: newShapes(), limit: 1 << 30, wake: make(chan struct{}, 1)}
	for series := range 20 {
		found, err := w.shapes.single(fmt.Sprint("key", series), 1)
		if err != nil {
			t.Fatal(err)
		}
		for step := range int64(20_000) {
			w.add(found, step, 0)
		}
	}
	w.seal()
	w.number(w.sealed[0])
	held := 0
	for _, each := range w.spares.kept {
		held += each.heldBytes()
	}
	if held != w.spares.bytes || held == 0 || held > mostSpareBytes {
		t.Errorf("%d bytes are spare, %d are counted", held, w.spares.bytes)
	}
	if before := len(w.spares.kept); w.spares.take() == nil || len(w.spares.kept) != before-1 {
		t.Error("nothing is used again")
	}
	if w.spares.bytes >= held {
		t.Errorf("%d bytes are counted, of %d before", w.spares.bytes, held)
	}
}

func BenchmarkLog(b *testing.B) {
	for _, keys := range []int{1, 4, 20} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			w := &Writer{shapes: newShapes(), limit: mostBatchBytes, wake: make(chan struct{}, 1)}
			w.options = (&WriterOptions{MaxBufferedBytes: 1 << 40}).settled()
			values := map[string]float64{}
			for key := range keys {
				values[fmt.Sprint("key/", key)] = 1
			}
			for step := range b.N {
				_ = w.Log(b.Context(), values, int64(step))
				w.sealed = w.sealed[:0]
			}
		})
	}
}
