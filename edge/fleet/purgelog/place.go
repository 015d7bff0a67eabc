package purgelog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// place is how far an edge has read a log. All purges up to there are in its own journal.
type place struct {
	Log string    `json:"log"` // the id of the log, "" for no place
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"` // when the log was live last, or begun to be read

	Stamp  time.Time `json:"stamp,omitzero"`  // the servers' time of the last message that was read
	Before earlier   `json:"before,omitzero"` // that the log had before it went back
}

// earlier is how far a log had been read before it lost messages and is read from its beginning.
type earlier struct {
	Seq   uint64    `json:"seq"`
	Stamp time.Time `json:"stamp"`
}

// skew is how far the clocks of the servers may differ.
const skew = time.Minute

// knows reports whether a message had been read before the log went back. One in the place of a
// message that was lost is younger than the last that was read.
func (p place) knows(seq uint64, stamp time.Time) bool {
	return seq <= p.Before.Seq && stamp.Before(p.Before.Stamp.Add(-skew))
}

const placeFile = "fleet-place.json"

// loadPlace reads the place, which is none where there is no file or a damaged one.
func loadPlace(dir string) (place, error) {
	raw, err := os.ReadFile(filepath.Join(dir, placeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, nil
	}
	var p place
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		return place{}, fmt.Errorf("cannot read the place in the log of purges: %w", err)
	}
	return p, nil
}

// save replaces the file. An older place than the true one costs purges that are applied
// twice, so that nothing is synced.
func (p place) save(dir string) error {
	raw, err := json.Marshal(p)
	if err == nil {
		err = replaceFile(filepath.Join(dir, placeFile), append(raw, '\n'), false)
	}
	if err != nil {
		return fmt.Errorf("cannot save the place in the log of purges: %w", err)
	}
	return nil
}

// replaceFile leaves the old file or the new one, whole.
func replaceFile(path string, content []byte, sync bool) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return nil
}

// judgement is the use of a place in a log.
type judgement uint8

const (
	goesOn   judgement = iota // the log goes on there
	another                   // it is a place in another log, or none
	wentBack                  // the log is shorter: it has lost messages, or the answer is of a server that lags
)

// judge compares a place with a log and its last sequence.
func (p place) judge(log string, last uint64) judgement {
	switch {
	case p.Log != log:
		return another
	case p.Seq > last:
		return wentBack
	}
	return goesOn
}
