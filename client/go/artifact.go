package runwire

import (
	"context"
	"io"
	"iter"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// Artifacts are the calls about files: [Client.Artifacts].
//
// Paths of artifacts are relative and separated by "/". Transfers go on through cuts and restarts of
// the server for as long as they make progress, and take a few MiB of memory whatever the size
// of a file. Beside what each names they fail with [ReasonNotFound], [ReasonDeleted] and
// [ReasonFieldInvalid] (the path).
type Artifacts struct {
	stub      runwirev1.ArtifactServiceClient
	workspace string
}

// Blob is bytes by their content: digest ("sha256:" and 64 hex digits) and size.
type Blob = runwirev1.Blob

// Owner is what holds artifacts: see [OfRun] and [OfVersion].
type Owner struct{ message *runwirev1.ArtifactOwner }

// OfRun names the artifacts of a run.
func OfRun(runID string) Owner {
	return Owner{&runwirev1.ArtifactOwner{Owner: &runwirev1.ArtifactOwner_RunId{RunId: runID}}}
}

// OfVersion names the artifacts of a version of a model.
func OfVersion(version *ModelVersion) Owner {
	key := &runwirev1.ModelVersionKey{
		Model: version.GetModel(), Version: version.GetVersion(), Workspace: version.GetWorkspace(),
	}
	return Owner{&runwirev1.ArtifactOwner{Owner: &runwirev1.ArtifactOwner_ModelVersion{ModelVersion: key}}}
}

// TransferOptions of uploads and downloads; nil is the same as the zero value.
type TransferOptions struct {
	// Progress is called with the bytes done and the bytes in all, by one goroutine at a time;
	// first with 0.
	Progress func(done, total int64)
	// MediaType of an upload, for instance "image/png". Empty: by the name.
	MediaType string
}

// UploadFile stores a file of this machine under a path of a run. It must not change meanwhile.
func (a *Artifacts) UploadFile(ctx context.Context, runID, path, file string, options *TransferOptions) (*Blob, error) {
	if file == "" {
		return nil, invalid("file", "it is empty: name a file of this machine")
	}
	return a.uploadOne(ctx, runID, source{path: path, file: file}, options)
}

// UploadBytes stores data under a path of a run.
func (a *Artifacts) UploadBytes(ctx context.Context, runID, path string, data []byte, options *TransferOptions) (*Blob, error) {
	return a.uploadOne(ctx, runID, source{path: path, data: data}, options)
}

// Upload stores all that content has under a path of a run. It is kept in a temporary file until
// it is stored, so that it can be sent again.
func (a *Artifacts) Upload(ctx context.Context, runID, path string, content io.Reader, options *TransferOptions) (*Blob, error) {
	file, err := spooled(content)
	if err != nil {
		return nil, err
	}
	defer file.remove()
	return a.UploadFile(ctx, runID, path, file.name, options)
}

// UploadDir stores all regular files below a folder of this machine under a directory of a run
// (empty: its root), all of them or none. Symbolic links to files are followed, those to folders below
// it are not.
func (a *Artifacts) UploadDir(ctx context.Context, runID, directory, folder string, options *TransferOptions) error {
	found, err := walk(directory, folder)
	if err != nil {
		return err
	}
	return a.upload(ctx, runID, found, options)
}

// DownloadFile fetches one file of a run or version, and returns what it holds. Nothing is
// there under its name before it is whole and its digest was checked.
func (a *Artifacts) DownloadFile(ctx context.Context, owner Owner, path, file string, options *TransferOptions) (*Blob, error) {
	return a.downloadFile(ctx, owner, path, file, newMeter(options, 0))
}

// Download writes one file of a run or version to w. Where it fails, also with
// [ReasonDigestMismatch] at the end, what was written is not to be used.
func (a *Artifacts) Download(ctx context.Context, owner Owner, path string, w io.Writer, options *TransferOptions) (*Blob, error) {
	return a.receive(ctx, owner, path, w, newMeter(options, 0))
}

// DownloadDir fetches all files below a directory of a run or version (empty: all) into a folder
// of this machine, never out of it.
func (a *Artifacts) DownloadDir(ctx context.Context, owner Owner, directory, folder string, options *TransferOptions) error {
	return a.downloadDir(ctx, owner, directory, folder, options)
}

// List returns every file below a directory (empty: all), by path.
func (a *Artifacts) List(ctx context.Context, owner Owner, directory string) iter.Seq2[*Artifact, error] {
	request := &runwirev1.ListArtifactsRequest{Owner: owner.message, Prefix: directory, Recursive: true}
	return pages(func(token string) ([]*Artifact, string, error) {
		request.PageToken = token
		response, err := a.stub.ListArtifacts(ctx, request)
		return response.GetArtifacts(), response.GetNextPageToken(), err
	})
}

// Entry of a directory: a file, or with a nil Artifact a directory.
type Entry struct {
	Path     string
	Artifact *Artifact
}

// ListDir returns what is directly in a directory (empty: the root).
func (a *Artifacts) ListDir(ctx context.Context, owner Owner, directory string) iter.Seq2[Entry, error] {
	request := &runwirev1.ListArtifactsRequest{Owner: owner.message, Prefix: directory}
	return pages(func(token string) ([]Entry, string, error) {
		request.PageToken = token
		response, err := a.stub.ListArtifacts(ctx, request)
		var found []Entry
		for _, path := range response.GetDirectories() {
			found = append(found, Entry{Path: path})
		}
		for _, artifact := range response.GetArtifacts() {
			found = append(found, Entry{artifact.Path, artifact})
		}
		return found, response.GetNextPageToken(), err
	})
}

// Delete takes files out of a run's tree; a directory takes what is under it. Returns how many
// went.
func (a *Artifacts) Delete(ctx context.Context, runID string, paths ...string) (int64, error) {
	request := &runwirev1.DeleteArtifactsRequest{Owner: OfRun(runID).message, Paths: paths}
	response, err := a.stub.DeleteArtifacts(ctx, request)
	return response.GetFiles(), err
}
