package runwire

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that ours goes on from
	"google.golang.org/grpc/mem"
)

// wireMessage is a message that is serialized already, in parts that follow each other.
type wireMessage [][]byte

// wireCodec sends a wireMessage as it is, without a copy.
type wireCodec struct{ encoding.CodecV2 }

func (c wireCodec) Marshal(message any) (mem.BufferSlice, error) {
	parts, ours := message.(wireMessage)
	if !ours {
		return c.CodecV2.Marshal(message)
	}
	made := make(mem.BufferSlice, len(parts))
	for i, part := range parts {
		made[i] = mem.SliceBuffer(part)
	}
	return made, nil
}

func onWire() grpc.CallOption {
	return grpc.ForceCodecV2(wireCodec{encoding.GetCodecV2("proto")})
}

// streamRequest is a StreamBatchesRequest with the names that this stream was not told.
func (b *batch) streamRequest(stream int64) wireMessage {
	made := wireMessage{appendLength(nil, fieldStreamBatch, len(b.data)), b.data}
	for _, each := range b.frames {
		if each.shape.declaredIn != stream {
			each.shape.declaredIn = stream
			made = append(made, each.shape.names)
		}
	}
	return made
}

// callRequest is a LogBatchRequest with all names of the batch; nil: a heartbeat.
func (b *batch) callRequest(runID, writerID string) wireMessage {
	head := appendString(appendString(nil, fieldRequestRunID, runID), fieldRequestWriterID, writerID)
	if b == nil {
		return wireMessage{head}
	}
	made := wireMessage{appendLength(head, fieldCallBatch, len(b.data)), b.data}
	for _, each := range b.frames {
		made = append(made, each.shape.names)
	}
	return made
}
