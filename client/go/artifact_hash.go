package runwire

import (
	"crypto/sha256"
	"hash"
)

// hasher reckons a digest in a goroutine of its own, beside the network and the disk.
type hasher struct {
	sum  hash.Hash
	data chan []byte
	done chan struct{}
}

func newHasher() *hasher {
	h := &hasher{sum: sha256.New(), data: make(chan []byte, 4), done: make(chan struct{})}
	go func() {
		defer close(h.done)
		for data := range h.data {
			h.sum.Write(data)
		}
	}()
	return h
}

// add takes data that nobody changes any more.
func (h *hasher) add(data []byte) { h.data <- data }

// digest ends it.
func (h *hasher) digest() string {
	close(h.data)
	<-h.done
	return digestOf(h.sum)
}
