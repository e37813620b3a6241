package runwire

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// download is the receiving of one file, over as many calls as it takes.
type download struct {
	stub   runwirev1.ArtifactServiceClient
	owner  Owner
	path   string
	into   io.Writer
	hasher *hasher
	meter  *meter
	blob   *Blob // once the first call has told it
	done   int64
	failed error // of into: nothing mends it
}

func (a *Artifacts) receive(ctx context.Context, owner Owner, path string, w io.Writer, meter *meter) (*Blob, error) {
	hasher := newHasher()
	d := &download{stub: a.stub, owner: owner, path: path, into: w, hasher: hasher, meter: meter}
	err := d.work(ctx)
	digest := hasher.digest()
	if err != nil {
		return nil, err
	}
	if digest != d.blob.Digest {
		return nil, &Error{
			Code: CodeDataLoss, Reason: ReasonDigestMismatch,
			Message:  fmt.Sprintf("%q arrived with digest %s", path, digest),
			Metadata: map[string]string{"expected": d.blob.Digest, "actual": digest},
		}
	}
	return d.blob, nil
}

// work receives the whole file, through cuts.
func (d *download) work(ctx context.Context) error {
	for patience := (&patience{}); ; {
		before := d.done
		err := d.run(ctx)
		if err == nil || d.failed != nil {
			return err
		}
		if d.done > before {
			patience.progress()
		}
		if !patience.wait(ctx, err, false) {
			return ended(ctx, err, "downloading "+d.path)
		}
	}
}

// run makes one call of DownloadArtifact, from where the last one ended.
func (d *download) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	file := &runwirev1.ArtifactPath{Owner: d.owner.message, Path: d.path}
	stream, err := d.stub.DownloadArtifact(ctx, &runwirev1.DownloadArtifactRequest{
		Source: &runwirev1.DownloadArtifactRequest_Artifact{Artifact: file}, Offset: d.done,
	})
	if err != nil {
		return err
	}
	for isFirst := true; ; isFirst = false {
		response, err := stream.Recv()
		if err == io.EOF && d.blob != nil && d.done == d.blob.SizeBytes {
			return nil
		}
		if err != nil {
			return cut(err)
		}
		if isFirst {
			if err := d.begin(response.GetBlob()); err != nil {
				return err
			}
		}
		if err := d.take(response.Chunk); err != nil {
			return err
		}
	}
}

func (d *download) begin(blob *Blob) error {
	if d.blob == nil {
		d.blob = blob
		d.meter.grow(blob.GetSizeBytes())
	}
	if blob == nil || !proto.Equal(d.blob, blob) {
		return &Error{Code: CodeAborted, Message: fmt.Sprintf("%q was changed while it was fetched", d.path)}
	}
	return nil
}

func (d *download) take(chunk *runwirev1.Chunk) error {
	if chunk == nil {
		return nil
	}
	data := chunk.Data
	if chunk.Crc32C != nil && crc32.Checksum(data, castagnoli) != *chunk.Crc32C {
		return &Error{Code: CodeInvalidArgument, Reason: ReasonChecksumMismatch, Message: fmt.Sprintf("a chunk of %q was damaged on its way", d.path)}
	}
	if chunk.Offset != d.done || chunk.Codec != 0 || d.done+int64(len(data)) > d.blob.SizeBytes {
		return &Error{Code: CodeInternal, Reason: ReasonInternal, Message: fmt.Sprintf("%q: the server sends other bytes than were asked for", d.path)}
	}
	if _, err := d.into.Write(data); err != nil {
		d.failed = err
		return err
	}
	d.hasher.add(data)
	d.done += int64(len(data))
	d.meter.add(int64(len(data)))
	return nil
}

// downloadFile: a file is under its name once it is whole, or not at all.
func (a *Artifacts) downloadFile(ctx context.Context, owner Owner, path, file string, meter *meter) (*Blob, error) {
	folder, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return a.downloadInto(ctx, owner, path, folder, filepath.Base(file), meter)
}

func (a *Artifacts) downloadInto(ctx context.Context, owner Owner, artifact string, folder *os.Root, name string, meter *meter) (*Blob, error) {
	// Not made from the name: that may be as long as a name can be.
	part := filepath.Join(filepath.Dir(name), ".runwire-"+NewID()+".part")
	file, err := folder.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	blob, err := a.receive(ctx, owner, artifact, file, meter)
	if failed := file.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = os.Rename(filepath.Join(folder.Name(), part), filepath.Join(folder.Name(), name))
	}
	if err != nil {
		_ = folder.Remove(part)
		return nil, err
	}
	return blob, nil
}

func (a *Artifacts) downloadDir(ctx context.Context, owner Owner, directory, folder string, options *TransferOptions) error {
	var names []string
	total := int64(0)
	for artifact, err := range a.List(ctx, owner, directory) {
		if err != nil {
			return err
		}
		if err := checkPath(artifact.Path); err != nil {
			return err // a server is not trusted with our disk
		}
		names = append(names, artifact.Path)
		total += artifact.GetBlob().GetSizeBytes()
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	meter := newMeter(options, total)
	return inParallel(ctx, len(names), func(ctx context.Context, i int) error {
		below := strings.TrimPrefix(strings.TrimPrefix(names[i], strings.TrimSuffix(directory, "/")), "/")
		if below == "" {
			below = path.Base(names[i]) // the directory asked for is one file
		}
		if err := makeFolders(root, path.Dir(below)); err != nil {
			return err
		}
		_, err := a.downloadInto(ctx, owner, names[i], root, filepath.FromSlash(below), meter)
		return err
	})
}

// makeFolders never leaves the root, whatever links lie in it.
func makeFolders(root *os.Root, directory string) error {
	if directory == "." {
		return nil
	}
	if err := makeFolders(root, path.Dir(directory)); err != nil {
		return err
	}
	if err := root.Mkdir(filepath.FromSlash(directory), 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}
