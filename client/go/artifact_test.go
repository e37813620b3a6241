package runwire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// fakeArtifacts keeps blobs and one tree in memory. It cuts each call after some chunks.
type fakeArtifacts struct {
	runwirev1.UnimplementedArtifactServiceServer
	mu       sync.Mutex // of the next three
	blobs    map[string][]byte
	uploads  map[string][]byte
	tree     []*Artifact
	cutAfter int     // chunks of an upload or download; 0: never
	damage   bool    // what is sent has another content
	missing  []*Blob // in every answer
}

const fakeChunk = 64 << 10

func newFakeArtifacts() *fakeArtifacts {
	return &fakeArtifacts{blobs: map[string][]byte{}, uploads: map[string][]byte{}}
}

func (f *fakeArtifacts) register(server *grpc.Server) {
	runwirev1.RegisterArtifactServiceServer(server, f)
}

func (f *fakeArtifacts) FindMissingBlobs(_ context.Context, request *runwirev1.FindMissingBlobsRequest) (*runwirev1.FindMissingBlobsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	response := &runwirev1.FindMissingBlobsResponse{Missing: f.missing}
	for _, blob := range request.Blobs {
		if _, has := f.blobs[blob.Digest]; !has {
			response.Missing = append(response.Missing, blob)
		}
	}
	return response, nil
}

func (f *fakeArtifacts) BatchPutBlobs(_ context.Context, request *runwirev1.BatchPutBlobsRequest) (*runwirev1.BatchPutBlobsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	response := &runwirev1.BatchPutBlobsResponse{}
	for _, item := range request.Items {
		f.blobs[item.Blob.Digest] = item.Data
		response.Results = append(response.Results, &runwirev1.BatchPutBlobsResponse_Result{Digest: item.Blob.Digest})
	}
	return response, nil
}

func (f *fakeArtifacts) UploadBlob(stream grpc.BidiStreamingServer[runwirev1.UploadBlobRequest, runwirev1.UploadBlobResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	id := "upload"
	if asked := first.GetOpen().UploadId; asked != "" && asked != id {
		return refusal(codes.NotFound, ReasonNotFound, 0)
	}
	opened := &runwirev1.UploadBlobResponse_Opened{UploadId: id, CommittedSize: f.append(id, nil), ChunkBytes: fakeChunk}
	if err := stream.Send(&runwirev1.UploadBlobResponse{Message: &runwirev1.UploadBlobResponse_Opened_{Opened: opened}}); err != nil {
		return err
	}
	for chunks := 0; ; chunks++ {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		if chunk := request.GetChunk(); chunk != nil {
			if f.cutAfter > 0 && chunks == f.cutAfter {
				return status.Error(codes.Unavailable, "cut")
			}
			f.append(id, chunk.Data)
			continue
		}
		blob := request.GetFinish().Blob
		f.store(blob.Digest, id)
		stored := &runwirev1.UploadBlobResponse_Stored{Blob: blob}
		return stream.Send(&runwirev1.UploadBlobResponse{Message: &runwirev1.UploadBlobResponse_Stored_{Stored: stored}})
	}
}

// append returns how many bytes the upload has then.
func (f *fakeArtifacts) append(id string, data []byte) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploads[id] = append(f.uploads[id], data...)
	return int64(len(f.uploads[id]))
}

func (f *fakeArtifacts) store(digest, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blobs[digest] = f.uploads[id]
}

func (f *fakeArtifacts) CommitArtifacts(stream grpc.ClientStreamingServer[runwirev1.CommitArtifactsRequest, runwirev1.CommitArtifactsResponse]) error {
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&runwirev1.CommitArtifactsResponse{})
		}
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.tree = append(f.tree, request.Artifacts...)
		f.mu.Unlock()
	}
}

func (f *fakeArtifacts) ListArtifacts(context.Context, *runwirev1.ListArtifactsRequest) (*runwirev1.ListArtifactsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &runwirev1.ListArtifactsResponse{Artifacts: slices.Clone(f.tree)}, nil
}

func (f *fakeArtifacts) DownloadArtifact(request *runwirev1.DownloadArtifactRequest, stream grpc.ServerStreamingServer[runwirev1.DownloadArtifactResponse]) error {
	f.mu.Lock()
	tree := slices.Clone(f.tree)
	f.mu.Unlock()
	for _, artifact := range tree {
		if artifact.Path == request.GetArtifact().Path {
			return f.send(artifact.GetBlob(), request.Offset, stream)
		}
	}
	return refusal(codes.NotFound, ReasonNotFound, 0)
}

func (f *fakeArtifacts) send(blob *Blob, offset int64, stream grpc.ServerStreamingServer[runwirev1.DownloadArtifactResponse]) error {
	f.mu.Lock()
	data := bytes.Clone(f.blobs[blob.Digest])
	f.mu.Unlock()
	if f.damage {
		data[len(data)-1]++
	}
	response := &runwirev1.DownloadArtifactResponse{Blob: blob}
	if len(data) == 0 {
		return stream.Send(response)
	}
	for chunks := 0; offset < int64(len(data)); chunks++ {
		if f.cutAfter > 0 && chunks == f.cutAfter {
			return status.Error(codes.Unavailable, "cut")
		}
		part := data[offset:min(int64(len(data)), offset+fakeChunk)]
		response.Chunk = &runwirev1.Chunk{Offset: offset, Data: part, PlainSize: int32(len(part))}
		if err := stream.Send(response); err != nil {
			return err
		}
		offset += int64(len(part))
		response = &runwirev1.DownloadArtifactResponse{}
	}
	return nil
}

func randomBytes(n int) []byte {
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(data)
	return data
}

func TestFileComesBackAsItWasThroughCuts(t *testing.T) {
	fake := newFakeArtifacts()
	fake.cutAfter = 5
	client := serve(t, nil, fake.register)
	folder, data := t.TempDir(), randomBytes(1_000_003)
	if err := os.WriteFile(filepath.Join(folder, "up"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	var seen [][2]int64
	options := &TransferOptions{Progress: func(done, total int64) { seen = append(seen, [2]int64{done, total}) }}
	sent, err := client.Artifacts.UploadFile(within(t), "run", "a/b.bin", filepath.Join(folder, "up"), options)
	if err != nil || sent.SizeBytes != int64(len(data)) {
		t.Fatal(sent, err)
	}
	checkProgress(t, seen, int64(len(data)))
	seen = nil
	got, err := client.Artifacts.DownloadFile(within(t), OfRun("run"), "a/b.bin", filepath.Join(folder, "down"), options)
	if err != nil || !proto.Equal(got, sent) {
		t.Fatal(got, err)
	}
	checkProgress(t, seen, int64(len(data)))
	if found, _ := os.ReadFile(filepath.Join(folder, "down")); !bytes.Equal(found, data) {
		t.Error("it came back as something else")
	}
}

func checkProgress(t *testing.T, seen [][2]int64, size int64) {
	t.Helper()
	if seen[0][0] != 0 || seen[len(seen)-1] != [2]int64{size, size} {
		t.Errorf("progress went from %v to %v", seen[0], seen[len(seen)-1])
	}
}

func TestNoFileAppearsUnlessItIsWhole(t *testing.T) {
	fake := newFakeArtifacts()
	client := serve(t, nil, fake.register)
	if _, err := client.Artifacts.UploadBytes(within(t), "run", "a", randomBytes(100), nil); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if _, err := client.Artifacts.DownloadFile(within(t), OfRun("run"), "b", filepath.Join(folder, "b"), nil); !errors.Is(err, ReasonNotFound) {
		t.Error(err)
	}
	fake.damage = true
	if _, err := client.Artifacts.DownloadFile(within(t), OfRun("run"), "a", filepath.Join(folder, "a"), nil); !errors.Is(err, ReasonDigestMismatch) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("there is %v", left)
	}
}

func TestFoldersGoUpAndDown(t *testing.T) {
	fake := newFakeArtifacts()
	client := serve(t, nil, fake.register)
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "new")
	files := map[string][]byte{"empty": nil, "sub/small": []byte("small"), "sub/sub/large": randomBytes(smallBytes + 1)}
	for name, data := range files {
		file := filepath.Join(from, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Artifacts.UploadDir(within(t), "run", "top", from, nil); err != nil {
		t.Fatal(err)
	}
	if err := client.Artifacts.DownloadDir(within(t), OfRun("run"), "top", to, nil); err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		if found, err := os.ReadFile(filepath.Join(to, filepath.FromSlash(name))); err != nil || !bytes.Equal(found, data) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerCannotWriteOutsideOfTheFolder(t *testing.T) {
	fake := newFakeArtifacts()
	client := serve(t, nil, fake.register)
	outside, to := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(to, "link")); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{"../out", "/out", "a/../../out", `a\out`, "link/out"} {
		fake.tree = []*Artifact{{Path: path, Content: contentOf(&Blob{Digest: "sha256:00"})}}
		if err := client.Artifacts.DownloadDir(within(t), OfRun("run"), "", to, nil); err == nil {
			t.Errorf("%s was written", path)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("there is %v", left)
	}
}

func TestStreamIsUploadedAndBadPathsAreRefusedBefore(t *testing.T) {
	fake := newFakeArtifacts()
	client := serve(t, nil, fake.register)
	data := randomBytes(300_000)
	blob, err := client.Artifacts.Upload(within(t), "run", "s", io.MultiReader(bytes.NewReader(data)), nil)
	if err != nil || !bytes.Equal(fake.blobs[blob.Digest], data) {
		t.Error(err)
	}
	var into bytes.Buffer
	if _, err := client.Artifacts.Download(within(t), OfRun("run"), "s", &into, nil); err != nil || !bytes.Equal(into.Bytes(), data) {
		t.Error(err)
	}
	for _, path := range []string{"", ".", "/a", "a/../b", `a\b`} {
		if _, err := client.Artifacts.UploadBytes(within(t), "run", path, nil, nil); !errors.Is(err, ReasonFieldInvalid) {
			t.Errorf("%q: %v", path, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := client.Artifacts.UploadBytes(ctx, "run", "a", data, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFolderWithoutFilesIsNothingToUpload(t *testing.T) {
	refuses := func(server *grpc.Server) {
		runwirev1.RegisterArtifactServiceServer(server, runwirev1.UnimplementedArtifactServiceServer{})
	}
	client := serve(t, nil, refuses)
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := client.Artifacts.UploadDir(within(t), "run", "top", folder, nil); err != nil {
		t.Error(err)
	}
}

func TestLinkToAFolderIsTheFolderWhereItIsNamed(t *testing.T) {
	folder, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	err := errors.Join(os.WriteFile(filepath.Join(folder, "file"), nil, 0o600), os.Symlink(folder, filepath.Join(folder, "round")))
	if err := errors.Join(err, os.Symlink(folder, link)); err != nil {
		t.Skip(err)
	}
	found, err := walk("top", link)
	if err != nil || len(found) != 1 || found[0].path != "top/file" {
		t.Error(found, err)
	}
}

func TestFileWithoutANameIsRefused(t *testing.T) {
	client := serve(t, nil, newFakeArtifacts().register)
	if blob, err := client.Artifacts.UploadFile(within(t), "run", "a", "", nil); !errors.Is(err, ReasonFieldInvalid) {
		t.Error(blob, err)
	}
}

func TestServerThatMissesWhatItWasNotAskedForIsToldSo(t *testing.T) {
	fake := newFakeArtifacts()
	client := serve(t, nil, fake.register)
	for _, missing := range []*Blob{{Digest: "sha256:00", SizeBytes: 1}, {}} {
		fake.missing = []*Blob{missing}
		if _, err := client.Artifacts.UploadBytes(within(t), "run", "a", []byte("a"), nil); !errors.Is(err, ReasonInternal) {
			t.Error(err)
		}
	}
}
