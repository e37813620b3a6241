package runwire

import (
	"context"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// upload is the sending of one blob, over as many calls as it takes.
type upload struct {
	stub      runwirev1.ArtifactServiceClient
	from      *source
	workspace string
	id        string      // of the service; empty: there is none yet
	counted   int64       // bytes that told was told of
	told      func(int64) // bytes more that are durable
}

// run makes one call of UploadBlob.
func (u *upload) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := u.stub.UploadBlob(ctx)
	if err != nil {
		return err
	}
	open := &runwirev1.UploadBlobRequest_Open{Workspace: u.workspace, UploadId: u.id, Blob: u.from.blob}
	err = stream.Send(&runwirev1.UploadBlobRequest{Message: &runwirev1.UploadBlobRequest_Open_{Open: open}})
	if err != nil && err != io.EOF {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return cut(err)
	}
	if u.hear(first) {
		return nil
	}
	sent := make(chan error, 1)
	go func() { sent <- u.chunks(stream, first.GetOpened(), cancel) }()
	err = u.listen(stream)
	cancel()
	if failed := <-sent; failed != nil && err != nil {
		return failed // this side cannot read the file
	}
	return err
}

// listen hears until all is stored.
func (u *upload) listen(stream runwirev1.ArtifactService_UploadBlobClient) error {
	for {
		response, err := stream.Recv()
		if err != nil {
			return cut(err)
		}
		if u.hear(response) {
			return nil
		}
	}
}

func cut(err error) error {
	if err == io.EOF {
		return &Error{Code: CodeUnavailable, Message: "the server has ended a transfer"}
	}
	return err
}

// hear counts what is durable; true: all is stored.
func (u *upload) hear(response *runwirev1.UploadBlobResponse) bool {
	durable := u.counted
	switch message := response.Message.(type) {
	case *runwirev1.UploadBlobResponse_Opened_:
		u.id, durable = message.Opened.UploadId, message.Opened.CommittedSize
	case *runwirev1.UploadBlobResponse_Progress_:
		durable = message.Progress.CommittedSize
	case *runwirev1.UploadBlobResponse_Stored_:
		durable = u.from.blob.SizeBytes
	}
	if durable > u.counted {
		u.told(durable - u.counted)
		u.counted = durable
	}
	return response.GetStored() != nil
}

// chunks sends from the acknowledged byte on. Its error is this side's; that of the call is for
// who listens.
func (u *upload) chunks(stream runwirev1.ArtifactService_UploadBlobClient, opened *runwirev1.UploadBlobResponse_Opened, cancel func()) error {
	content, err := u.from.open()
	if err == nil {
		defer content.Close()
		_, err = content.Seek(opened.GetCommittedSize(), io.SeekStart)
	}
	if err != nil {
		cancel()
		return err
	}
	size := chunkBytes
	if asked := int(opened.GetChunkBytes()); asked > 0 {
		size = min(asked, mostChunk)
	}
	buffer := make([]byte, size)
	for offset := opened.GetCommittedSize(); offset < u.from.blob.SizeBytes; {
		data := buffer[:min(int64(size), u.from.blob.SizeBytes-offset)]
		if _, err := io.ReadFull(content, data); err != nil {
			cancel()
			return err
		}
		if stream.Send(chunkRequest(offset, data)) != nil {
			return nil
		}
		offset += int64(len(data))
	}
	finish := &runwirev1.UploadBlobRequest_Finish{Blob: u.from.blob}
	if stream.Send(&runwirev1.UploadBlobRequest{Message: &runwirev1.UploadBlobRequest_Finish_{Finish: finish}}) == nil {
		_ = stream.CloseSend()
	}
	return nil
}

func chunkRequest(offset int64, data []byte) *runwirev1.UploadBlobRequest {
	chunk := &runwirev1.Chunk{
		Offset: offset, PlainSize: int32(len(data)), Data: data,
		Crc32C: proto.Uint32(crc32.Checksum(data, castagnoli)),
	}
	return &runwirev1.UploadBlobRequest{Message: &runwirev1.UploadBlobRequest_Chunk{Chunk: chunk}}
}
