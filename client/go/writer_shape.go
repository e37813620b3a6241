package runwire

import (
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// Of a frame: a row of more is split, so that it fits a batch.
	mostColumns   = 8192
	mostNameBytes = 256 << 10
	// Of a key; the service takes less, and rejects the key alone.
	mostKeyBytes = 4096
	// Key sets that are remembered, and those of one size that are tried one after the other.
	mostShapes, mostCandidates = 10_000, 4
)

// shape is a set of keys that are logged together: the columns of a frame.
type shape struct {
	keys  []string
	ids   []byte // as Frame.series has them
	names []byte // that declare them, in a request's field series

	rows       *columns // in the open batch; nil: none
	declaredIn int64    // number of the last stream that was told the names
}

// columns are the rows of one shape in one batch.
type columns struct {
	steps, times []int64
	values       []float64
}

func (c *columns) add(step, micros int64, values []float64) {
	c.steps = append(c.steps, step)
	c.times = append(c.times, micros)
	c.values = append(c.values, values...)
}

func (c *columns) reset() {
	c.steps, c.times, c.values = c.steps[:0], c.times[:0], c.values[:0]
}

// Of all spares, whatever the number of shapes.
const mostSpareBytes = 4 << 20

// spares are empty columns to be used again, by any shape.
type spares struct {
	kept  []*columns
	bytes int
}

func (s *spares) take() *columns {
	last := len(s.kept) - 1
	if last < 0 {
		return &columns{}
	}
	found := s.kept[last]
	s.kept[last] = nil
	s.kept = s.kept[:last]
	s.bytes -= found.heldBytes()
	return found
}

func (s *spares) put(c *columns) {
	c.reset()
	if size := c.heldBytes(); s.bytes+size <= mostSpareBytes {
		s.kept = append(s.kept, c)
		s.bytes += size
	}
}

// heldBytes counts the memory of columns, used or not, and of their slices.
func (c *columns) heldBytes() int {
	return 3*24 + 8*(cap(c.steps)+cap(c.times)+cap(c.values))
}

func rowBytes(keys int) int { return 16 + 8*keys }

// Of a frame and a batch, beside their arrays: tags and lengths.
const frameBytes, batchBytes = 64, 64

// cost of one more row, at most. The first one brings the frame, and maybe the names.
func (s *shape) cost() int {
	size := rowBytes(len(s.keys))
	if s.rows == nil {
		size += frameBytes + len(s.ids) + len(s.names)
	}
	return size
}

// rowShape is a set of keys of one call: one shape, or where that is too wide, several.
type rowShape struct {
	parts  []*shape
	starts []int // of each part's values in the row, and the end
}

// shapes knows the sets of keys that were logged before. Its state is its Writer's.
type shapes struct {
	ids        map[string]uint32
	singles    map[string]*rowShape
	bySize     map[int][]*rowShape // the last ones first
	byKeys     map[string]*rowShape
	matched    []float64 // values of the row that was found
	last       *rowShape
	sortedKeys []string
}

func newShapes() shapes {
	return shapes{
		ids: map[string]uint32{}, singles: map[string]*rowShape{},
		bySize: map[int][]*rowShape{}, byKeys: map[string]*rowShape{},
	}
}

// find returns the shape of a row; matched has the values in its order.
func (s *shapes) find(values map[string]float64) (*rowShape, error) {
	if s.last != nil && s.match(s.last, values) {
		return s.last, nil
	}
	for _, candidate := range s.bySize[len(values)] {
		if s.match(candidate, values) {
			s.last = candidate
			return candidate, nil
		}
	}
	found, err := s.define(values)
	if err != nil {
		return nil, err
	}
	s.match(found, values)
	s.last = found
	return found, nil
}

func (s *shapes) match(row *rowShape, values map[string]float64) bool {
	if row.starts[len(row.parts)] != len(values) {
		return false
	}
	s.matched = s.matched[:0]
	for _, part := range row.parts {
		for _, key := range part.keys {
			value, has := values[key]
			if !has {
				return false
			}
			s.matched = append(s.matched, value)
		}
	}
	return true
}

// single is the shape of one key.
func (s *shapes) single(key string, value float64) (*rowShape, error) {
	found := s.singles[key]
	if found == nil {
		if err := checkKey(key); err != nil {
			return nil, err
		}
		s.forgetTooMany()
		key = strings.Clone(key)
		found = s.newRowShape([]string{key})
		s.singles[key] = found
	}
	s.matched = append(s.matched[:0], value)
	return found, nil
}

// define finds a set of keys that was not logged lately, or is new.
func (s *shapes) define(values map[string]float64) (*rowShape, error) {
	keys := s.sortedKeys[:0]
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	s.sortedKeys = keys
	if err := checkKeys(keys); err != nil {
		return nil, err
	}
	joined := strings.Join(keys, "\xff") // which is in no key: it is no UTF-8
	found := s.byKeys[joined]
	if found == nil {
		s.forgetTooMany()
		found = s.newRowShape(cloned(keys))
		s.byKeys[joined] = found
	}
	known := s.bySize[len(keys)]
	known = slices.DeleteFunc(known, func(one *rowShape) bool { return one == found })
	s.bySize[len(keys)] = slices.Insert(known, 0, found)[:min(mostCandidates, len(known)+1)]
	return found, nil
}

// forgetTooMany: who logs another set of keys each time keeps no memory of them.
func (s *shapes) forgetTooMany() {
	if len(s.byKeys)+len(s.singles) < mostShapes {
		return
	}
	clear(s.byKeys)
	clear(s.bySize)
	clear(s.singles)
	s.last = nil
}

func (s *shapes) newRowShape(keys []string) *rowShape {
	made := &rowShape{starts: []int{0}}
	for start, size, i := 0, 0, 0; i < len(keys); i++ {
		size += len(keys[i])
		if i+1 == len(keys) || i+1-start == mostColumns || size+len(keys[i+1]) > mostNameBytes {
			made.parts = append(made.parts, s.newShape(keys[start:i+1]))
			made.starts = append(made.starts, i+1)
			start, size = i+1, 0
		}
	}
	return made
}

func (s *shapes) newShape(keys []string) *shape {
	made := &shape{keys: keys}
	for _, key := range keys {
		id, known := s.ids[key]
		if !known {
			id = uint32(len(s.ids))
			s.ids[key] = id
		}
		made.ids = protowire.AppendVarint(made.ids, uint64(id))
		made.names = appendName(made.names, id, key)
	}
	return made
}

func checkKeys(keys []string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	return nil
}

// checkKey finds what would damage the whole batch; the service rejects other keys by themselves.
func checkKey(key string) error {
	if len(key) > mostKeyBytes || !utf8.ValidString(key) {
		return invalid("key", "%.80q: at most %d bytes of UTF-8", key, mostKeyBytes)
	}
	return nil
}

func cloned(keys []string) []string {
	made := make([]string, len(keys))
	for i, key := range keys {
		made[i] = strings.Clone(key)
	}
	return made
}
