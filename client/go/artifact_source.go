package runwire

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"
)

const copyBytes = 1 << 20

// source is one file to send, or bytes in memory.
type source struct {
	path     string
	file     string // empty: data
	data     []byte
	blob     *Blob // once it is hashed
	modified *timestamppb.Timestamp
}

type content interface {
	io.ReadSeeker
	io.Closer
}

func (s *source) open() (content, error) {
	if s.file != "" {
		return os.Open(s.file)
	}
	return inMemory{bytes.NewReader(s.data)}, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// hash reads it once.
func (s *source) hash() error {
	if err := checkPath(s.path); err != nil {
		return err
	}
	opened, err := s.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	sum := sha256.New()
	size, err := io.CopyBuffer(sum, onlyReader{opened}, make([]byte, copyBytes))
	if err != nil {
		return err
	}
	s.blob = &Blob{Digest: digestOf(sum), SizeBytes: size}
	if file, ok := opened.(*os.File); ok {
		if info, err := file.Stat(); err == nil {
			s.modified = timestamppb.New(info.ModTime())
		}
	}
	return nil
}

// onlyReader hides WriterTo, which would not use our buffer.
type onlyReader struct{ io.Reader }

func digestOf(sum hash.Hash) string { return "sha256:" + hex.EncodeToString(sum.Sum(nil)) }

func (s *source) artifact(mediaType string) *Artifact {
	made := &Artifact{Path: s.path, MediaType: cmp.Or(mediaType, mime.TypeByExtension(path.Ext(s.path))), ModifyTime: s.modified}
	made.Content = contentOf(s.blob)
	return made
}

// checkPath says no before bytes are sent; the service knows more rules.
func checkPath(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.Contains(name, `\`) {
		return invalid("path", "%q: it must be relative, without empty segments, \"..\" and backslashes", name)
	}
	return nil
}

// walk finds all regular files below a folder.
func walk(directory, folder string) ([]source, error) {
	var found []source
	folder, err := filepath.EvalSymlinks(folder) // WalkDir follows none, not even that
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(file)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		below, err := filepath.Rel(folder, file)
		found = append(found, source{path: path.Join(directory, filepath.ToSlash(below)), file: file})
		return err
	})
	return found, err
}

// temporary is a file of our own.
type temporary struct{ name string }

func (t temporary) remove() { os.Remove(t.name) }

func spooled(from io.Reader) (temporary, error) {
	file, err := os.CreateTemp("", "runwire-*")
	if err != nil {
		return temporary{}, err
	}
	_, err = io.CopyBuffer(onlyWriter{file}, onlyReader{from}, make([]byte, copyBytes))
	if failed := file.Close(); err == nil {
		err = failed
	}
	made := temporary{file.Name()}
	if err != nil {
		made.remove()
	}
	return made, err
}

type onlyWriter struct{ io.Writer }
