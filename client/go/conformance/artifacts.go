package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"strconv"

	"github.com/runwire/runwire/client/go"
)

type fileArgs struct {
	RunID  string `json:"run_id"`
	Path   string `json:"path"`
	File   string `json:"file"`
	Data   string `json:"data"`
	Prefix string `json:"prefix"`
}

type fileOK struct {
	Digest   string    `json:"digest"`
	Size     string    `json:"size"`
	Progress *[2]int64 `json:"progress,omitempty"`
}

func stored(blob *runwire.Blob, progress *[2]int64) fileOK {
	return fileOK{blob.GetDigest(), strconv.FormatInt(blob.GetSizeBytes(), 10), progress}
}

// watched has the first and last bytes that a callback was told.
func watched() (*[2]int64, *runwire.TransferOptions) {
	seen := &[2]int64{-1, -1}
	return seen, &runwire.TransferOptions{Progress: func(done, _ int64) {
		if seen[0] < 0 {
			seen[0] = done
		}
		seen[1] = done
	}}
}

func (r *runner) upload(ctx context.Context, args fileArgs) (fileOK, error) {
	seen, options := watched()
	blob, err := r.client.Artifacts.UploadFile(ctx, args.RunID, args.Path, args.File, options)
	return stored(blob, seen), err
}

func (r *runner) uploadData(ctx context.Context, args fileArgs) (fileOK, error) {
	data, err := base64.StdEncoding.DecodeString(args.Data)
	if err != nil {
		return fileOK{}, err
	}
	blob, err := r.client.Artifacts.Upload(ctx, args.RunID, args.Path, bytes.NewReader(data), nil)
	return stored(blob, nil), err
}

func (r *runner) download(ctx context.Context, args fileArgs) (fileOK, error) {
	seen, options := watched()
	blob, err := r.client.Artifacts.DownloadFile(ctx, runwire.OfRun(args.RunID), args.Path, args.File, options)
	return stored(blob, seen), err
}

type dataOK struct {
	Data string `json:"data"`
}

func (r *runner) downloadData(ctx context.Context, args fileArgs) (dataOK, error) {
	var into bytes.Buffer
	_, err := r.client.Artifacts.Download(ctx, runwire.OfRun(args.RunID), args.Path, &into, nil)
	return dataOK{base64.StdEncoding.EncodeToString(into.Bytes())}, err
}

type listArgs struct {
	RunID     string `json:"run_id"`
	Prefix    string `json:"prefix"`
	Recursive *bool  `json:"recursive"`
}

type listOK struct {
	Paths []string `json:"paths"`
}

func (r *runner) listArtifacts(ctx context.Context, args listArgs) (listOK, error) {
	found := listOK{Paths: []string{}}
	if args.Recursive != nil && !*args.Recursive {
		for entry, err := range r.client.Artifacts.ListDir(ctx, runwire.OfRun(args.RunID), args.Prefix) {
			if err != nil {
				return found, err
			}
			if entry.Artifact != nil {
				found.Paths = append(found.Paths, entry.Path)
			}
		}
		return found, nil
	}
	for artifact, err := range r.client.Artifacts.List(ctx, runwire.OfRun(args.RunID), args.Prefix) {
		if err != nil {
			return found, err
		}
		found.Paths = append(found.Paths, artifact.Path)
	}
	return found, nil
}
