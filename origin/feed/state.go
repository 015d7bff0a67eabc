package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stored is the content of the state file.
type stored struct {
	URL      string   `json:"url"`           // the feed that the sequence is of
	For      string   `json:"for,omitempty"` // see Config
	Sequence sequence `json:"seq"`
}

// saveEvery is how often the state file is written at most.
const saveEvery = time.Second

// load reads the sequence to go on from, "" where there is none: no file, one
// that cannot be read, or one of another feed or for something else.
func load(path, url, use string) (sequence, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the feed's sequence: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 4*maxSequence))
	if err != nil {
		return "", fmt.Errorf("cannot read the feed's sequence: %w", err)
	}
	var s stored
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("cannot read the feed's sequence: %s: %w", path, err)
	}
	if s.URL != url || s.For != use {
		return "", nil
	}
	return s.Sequence, nil
}

// save replaces the state file: after a crash there is the old one or the new
// one, whole.
func save(path string, s stored) (err error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	// A directory that is not synced may have the old name after a power cut,
	// which costs a few changes applied twice.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
