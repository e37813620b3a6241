package runwire

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

const (
	transfersAtOnce = 4
	// Files up to here go many in a message, larger ones as streams of their own.
	smallBytes    = 256 << 10
	putBatchBytes = 1 << 20
	putBatchFiles = 500
	askAtOnce     = 5000
	commitAtOnce  = 2000
	chunkBytes    = 256 << 10
	mostChunk     = 2 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func contentOf(blob *Blob) *runwirev1.Artifact_Blob { return &runwirev1.Artifact_Blob{Blob: blob} }

func (a *Artifacts) uploadOne(ctx context.Context, runID string, one source, options *TransferOptions) (*Blob, error) {
	found := []source{one}
	err := a.upload(ctx, runID, found, options)
	return found[0].blob, err
}

// upload sends what the service lacks, and only then names it: a reader never sees half of it.
func (a *Artifacts) upload(ctx context.Context, runID string, found []source, options *TransferOptions) error {
	if len(found) == 0 {
		return nil // an empty folder: there is nothing to name
	}
	err := inParallel(ctx, len(found), func(_ context.Context, i int) error { return found[i].hash() })
	if err != nil {
		return err
	}
	byDigest, total := map[string]*source{}, int64(0)
	for i := range found {
		if byDigest[found[i].blob.Digest] == nil {
			byDigest[found[i].blob.Digest] = &found[i]
			total += found[i].blob.SizeBytes
		}
	}
	meter := newMeter(options, total)
	if err := a.send(ctx, byDigest, meter); err != nil {
		return err
	}
	return a.commit(ctx, runID, found, options)
}

func (a *Artifacts) send(ctx context.Context, byDigest map[string]*source, meter *meter) error {
	missing, err := a.missing(ctx, byDigest)
	if err != nil {
		return err
	}
	for digest, each := range byDigest {
		if missing[digest] == nil {
			meter.add(each.blob.SizeBytes)
		}
	}
	batches, large := sorted(missing)
	return inParallel(ctx, len(batches)+len(large), func(ctx context.Context, i int) error {
		if i < len(large) {
			return a.putLarge(ctx, large[i], meter)
		}
		return a.putBatch(ctx, batches[i-len(large)], meter)
	})
}

func (a *Artifacts) missing(ctx context.Context, byDigest map[string]*source) (map[string]*source, error) {
	missing := map[string]*source{}
	request := &runwirev1.FindMissingBlobsRequest{Workspace: a.workspace}
	ask := func() error {
		response, err := a.stub.FindMissingBlobs(ctx, request)
		for _, blob := range response.GetMissing() {
			known := byDigest[blob.GetDigest()]
			if known == nil {
				return &Error{Code: CodeInternal, Reason: ReasonInternal,
					Message: fmt.Sprintf("the server misses %.80q, of which it was not asked", blob.GetDigest())}
			}
			missing[blob.Digest] = known
		}
		request.Blobs = nil
		return err
	}
	for _, each := range byDigest {
		request.Blobs = append(request.Blobs, each.blob)
		if len(request.Blobs) == askAtOnce {
			if err := ask(); err != nil {
				return nil, err
			}
		}
	}
	return missing, ask()
}

// sorted has batches of small files that fit a message, and large files.
func sorted(missing map[string]*source) (batches [][]*source, large []*source) {
	var batch []*source
	size := int64(0)
	for _, each := range missing {
		if each.blob.SizeBytes > smallBytes {
			large = append(large, each)
			continue
		}
		if len(batch) == putBatchFiles || len(batch) > 0 && size+each.blob.SizeBytes > putBatchBytes {
			batches, batch, size = append(batches, batch), nil, 0
		}
		batch, size = append(batch, each), size+each.blob.SizeBytes
	}
	if len(batch) > 0 {
		batches = append(batches, batch)
	}
	return batches, large
}

func (a *Artifacts) putBatch(ctx context.Context, batch []*source, meter *meter) error {
	request := &runwirev1.BatchPutBlobsRequest{Workspace: a.workspace}
	size := int64(0)
	for _, each := range batch {
		data, err := each.read()
		if err != nil {
			return err
		}
		request.Items = append(request.Items, &runwirev1.BatchPutBlobsRequest_Item{Blob: each.blob, Data: data})
		size += int64(len(data))
	}
	response, err := a.stub.BatchPutBlobs(ctx, request)
	if err != nil {
		return err
	}
	for _, result := range response.Results {
		if result.Fault != nil {
			return errorOfFault(result.Fault)
		}
	}
	meter.add(size)
	return nil
}

// read has what was hashed, not what a file has grown by since.
func (s *source) read() ([]byte, error) {
	opened, err := s.open()
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	data := make([]byte, s.blob.SizeBytes)
	_, err = io.ReadFull(opened, data)
	return data, err
}

// putLarge sends one blob through cuts, from the byte that the service has acknowledged.
func (a *Artifacts) putLarge(ctx context.Context, from *source, meter *meter) error {
	patience := &patience{}
	upload := &upload{stub: a.stub, from: from, workspace: a.workspace, told: func(counted int64) {
		patience.progress()
		meter.add(counted)
	}}
	for {
		err := upload.run(ctx)
		if err == nil {
			return nil
		}
		forgotten := upload.id != "" && errors.Is(err, CodeNotFound)
		if forgotten {
			upload.id = "" // once more from the start
		}
		if !patience.wait(ctx, err, forgotten) {
			return ended(ctx, err, "uploading "+from.path)
		}
	}
}

// commit names what was sent. A repeat leads to the same tree.
func (a *Artifacts) commit(ctx context.Context, runID string, found []source, options *TransferOptions) error {
	mediaType := ""
	if options != nil {
		mediaType = options.MediaType
	}
	for patience := (&patience{}); ; {
		err := a.commitOnce(ctx, runID, found, mediaType)
		if err == nil {
			return nil
		}
		if !patience.wait(ctx, err, false) {
			return ended(ctx, err, "naming artifacts")
		}
	}
}

func (a *Artifacts) commitOnce(ctx context.Context, runID string, found []source, mediaType string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := a.stub.CommitArtifacts(ctx)
	if err != nil {
		return err
	}
	request := &runwirev1.CommitArtifactsRequest{Owner: OfRun(runID).message}
	for i := range found {
		request.Artifacts = append(request.Artifacts, found[i].artifact(mediaType))
		if len(request.Artifacts) == commitAtOnce || i == len(found)-1 {
			if err := stream.Send(request); err != nil && err != io.EOF {
				return err
			}
			request = &runwirev1.CommitArtifactsRequest{}
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}
