package runwire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// openBatch takes rows; its columns are with their shapes.
type openBatch struct {
	shapes []*shape // in the order of their first rows
	notes  [2]map[string]string
	bytes  int // serialized, at most
}

// begin gives a shape its columns in this batch.
func (b *openBatch) begin(s *shape, rows *columns) {
	s.rows = rows
	b.shapes = append(b.shapes, s)
}

type noteKind int

const (
	asParam noteKind = iota
	asTag
)

// contradicts: two values of one param must not meet in one batch, where only one would be seen.
func (b *openBatch) contradicts(kind noteKind, key, value string) bool {
	known, has := b.notes[asParam][key]
	return kind == asParam && has && known != value
}

func (b *openBatch) addNote(kind noteKind, key, value string) {
	if b.notes[kind] == nil {
		b.notes[kind] = map[string]string{}
	}
	b.notes[kind][key] = value
}

// seal takes what it holds out of it; end counts the entries of the writer up to there.
func (b *openBatch) seal(end int64) *sealedBatch {
	made := &sealedBatch{notes: b.notes, bytes: b.bytes, end: end, frames: make([]frame, len(b.shapes))}
	for i, each := range b.shapes {
		made.frames[i] = frame{each, each.rows}
		each.rows = nil
	}
	clear(b.shapes)
	*b = openBatch{shapes: b.shapes[:0]}
	return made
}

// frame is the columns of a shape that take no more rows.
type frame struct {
	shape *shape
	rows  *columns
}

// sealedBatch changes no more, and has no sequence yet.
type sealedBatch struct {
	frames []frame
	notes  [2]map[string]string // by kind
	bytes  int
	end    int64
}

// batch is a serialized MetricBatch, kept until it is acknowledged.
type batch struct {
	sequence int64
	data     []byte
	frames   []frame // without rows
	bytes    int
	end      int64
}

// Fields of the protos; metric.proto and metric_service.proto.
const (
	fieldBatchSequence                                      = 1
	fieldBatchFrames                                        = 3
	fieldBatchParams                                        = 4
	fieldBatchTags                                          = 5
	fieldFrameSeries, fieldFrameSteps, fieldFrameTimes      = 1, 2, 3
	fieldFrameValues                                        = 4
	fieldNameID, fieldNameKey                               = 1, 2
	fieldStreamBatch, fieldRequestNames                     = 2, 4
	fieldRequestRunID, fieldRequestWriterID, fieldCallBatch = 1, 2, 3
	fieldEntryKey, fieldEntryValue                          = 1, 2
)

func (s *sealedBatch) encode(sequence int64) *batch {
	data := make([]byte, 0, s.bytes+batchBytes)
	data = protowire.AppendTag(data, fieldBatchSequence, protowire.VarintType)
	data = protowire.AppendVarint(data, uint64(sequence))
	for _, each := range s.frames {
		data = each.append(data)
	}
	data = appendEntries(data, fieldBatchParams, s.notes[asParam])
	data = appendEntries(data, fieldBatchTags, s.notes[asTag])
	return &batch{sequence: sequence, data: data, frames: s.frames, bytes: s.bytes, end: s.end}
}

func (f frame) append(data []byte) []byte {
	rows, values := 8*len(f.rows.steps), 8*len(f.rows.values)
	size := sizeOfBytes(len(f.shape.ids)) + 2*sizeOfBytes(rows) + sizeOfBytes(values)
	data = appendLength(data, fieldBatchFrames, size)
	data = append(appendLength(data, fieldFrameSeries, len(f.shape.ids)), f.shape.ids...)
	data = appendIntegers(appendLength(data, fieldFrameSteps, rows), f.rows.steps)
	data = appendIntegers(appendLength(data, fieldFrameTimes, rows), f.rows.times)
	data = appendLength(data, fieldFrameValues, values)
	for _, value := range f.rows.values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(value))
	}
	return data
}

func appendIntegers(data []byte, values []int64) []byte {
	for _, value := range values {
		data = binary.LittleEndian.AppendUint64(data, uint64(value))
	}
	return data
}

// appendLength begins a field of so many bytes.
func appendLength(data []byte, field protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(data, field, protowire.BytesType), uint64(size))
}

func sizeOfBytes(size int) int { return 1 + protowire.SizeBytes(size) }

func appendString(data []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(data, field, protowire.BytesType), text)
}

func appendEntries(data []byte, field protowire.Number, entries map[string]string) []byte {
	for key, value := range entries {
		data = appendLength(data, field, sizeOfBytes(len(key))+sizeOfBytes(len(value)))
		data = appendString(appendString(data, fieldEntryKey, key), fieldEntryValue, value)
	}
	return data
}

func appendName(data []byte, id uint32, key string) []byte {
	data = appendLength(data, fieldRequestNames, 1+protowire.SizeVarint(uint64(id))+sizeOfBytes(len(key)))
	data = protowire.AppendVarint(protowire.AppendTag(data, fieldNameID, protowire.VarintType), uint64(id))
	return appendString(data, fieldNameKey, key)
}

// mostNoteBytes of a param or tag; the service takes less, and rejects that one alone.
const mostNoteBytes = 256 << 10

func noteBytes(key, value string) (int, error) {
	if len(key)+len(value) > mostNoteBytes || !utf8.ValidString(key) || !utf8.ValidString(value) {
		return 0, invalid("value", "of %.80q: at most %d bytes of UTF-8", key, mostNoteBytes)
	}
	return 16 + len(key) + len(value), nil
}
