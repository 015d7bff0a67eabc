package purgelog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"pkgedge/cache/purge"
)

const (
	outboxFile = "fleet-outbox"
	// maxKept is how many purges are kept after the log has acknowledged them, for a log that
	// loses them all the same.
	maxKept = 1024
	// maxWaiting bounds the purges that the log has not acknowledged. More become one of
	// everything.
	maxWaiting = 1 << 17
	// rewriteAfter is how many lines the file has beyond those that count, before it is written
	// anew.
	rewriteAfter = 4096
)

// item is a purge of this edge.
type item struct {
	ID    string `json:"id"` // of its message, so that the log takes it once
	Entry Entry  `json:"entry"`
	Log   string `json:"log,omitempty"` // that acknowledged it, "" for none yet
	Seq   uint64 `json:"seq,omitempty"` // its place there

	At time.Time `json:"at,omitzero"` // when that was
}

// outbox has the purges of this edge: those that the log has not acknowledged, and the last
// ones that it has. They are on disk before add returns.
type outbox struct {
	newID func() string

	mu      sync.Mutex
	waiting []*item // the oldest first
	kept    []*item // acknowledged, the oldest first

	// writing is held over the file's I/O, and taken before mu.
	writing sync.Mutex
	path    string
	file    *os.File
	lines   int
}

func openOutbox(dir string, newID func() string) (*outbox, error) {
	o := &outbox{newID: newID, path: filepath.Join(dir, outboxFile)}
	raw, err := os.ReadFile(o.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the outbox of purges: %w", err)
	}
	o.replay(raw)
	if err := o.rewrite(); err != nil {
		return nil, err
	}
	return o, nil
}

// replay reads the lines of the file: each is the newest state of an item. A line that was cut
// by a crash is one that nobody was told of.
func (o *outbox) replay(raw []byte) {
	at := make(map[string]*item)
	var order []*item
	for line := range bytes.Lines(raw) { // of any length
		i := new(item)
		if json.Unmarshal(line, i) != nil || i.ID == "" {
			continue
		}
		if was := at[i.ID]; was != nil {
			was.Log, was.Seq, was.At = i.Log, i.Seq, i.At
			continue
		}
		at[i.ID] = i
		order = append(order, i)
	}
	for _, i := range order {
		if i.Log == "" {
			o.waiting = append(o.waiting, i)
		} else {
			o.keep(i)
		}
	}
}

// keep adds an acknowledged item. o.mu is held, or no other goroutine has o yet.
func (o *outbox) keep(i *item) {
	if len(o.kept) >= maxKept {
		o.kept = slices.Delete(o.kept, 0, len(o.kept)-maxKept+1)
	}
	o.kept = append(o.kept, i)
}

// add takes purges, and returns the items when they are on disk. With more than the outbox may
// have, those that wait become one purge of everything.
func (o *outbox) add(all []Entry) ([]*item, error) {
	items := make([]*item, len(all))
	for n, e := range all {
		items[n] = &item{ID: o.newID(), Entry: e}
	}
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	folds := len(o.waiting)+len(items) > maxWaiting
	if folds {
		items = []*item{o.fold(items)}
		o.waiting = nil
	}
	o.waiting = append(o.waiting, items...)
	o.mu.Unlock()
	if folds {
		return items, o.rewrite()
	}
	return items, o.write(items, true)
}

// fold is one item that covers those that wait and more ones. o.mu is held.
func (o *outbox) fold(more []*item) *item {
	soft := true
	for _, i := range slices.Concat(o.waiting, more) {
		soft = soft && i.Entry.Soft
	}
	return &item{ID: o.newID(), Entry: Entry{Purge: purge.Purge{Scope: purge.All, Soft: soft}}}
}

// next are the oldest items that wait, n at most.
func (o *outbox) next(n int) []*item {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.waiting[:min(n, len(o.waiting))])
}

// acknowledge notes that a log has items. The file need not be synced: an item that is
// published twice costs little.
func (o *outbox) acknowledge(log string, seqs map[*item]uint64) error {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	o.waiting = slices.DeleteFunc(o.waiting, func(i *item) bool { return seqs[i] != 0 })
	var done []*item
	for i, seq := range seqs {
		i.Log, i.Seq, i.At = log, seq, time.Now()
		done = append(done, i)
	}
	slices.SortFunc(done, func(a, b *item) int { return int(int64(a.Seq) - int64(b.Seq)) })
	for _, i := range done {
		o.keep(i)
	}
	lines := len(o.waiting) + len(o.kept)
	o.mu.Unlock()
	if o.lines > 2*lines+rewriteAfter {
		return o.rewrite()
	}
	return o.write(done, false)
}

// acknowledged are copies of the purges that a log has acknowledged.
func (o *outbox) acknowledged() []item {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]item, len(o.kept))
	for n, i := range o.kept {
		all[n] = *i
	}
	return all
}

// forget takes acknowledged items out, by their IDs: they are to be published anew.
func (o *outbox) forget(ids map[string]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = slices.DeleteFunc(o.kept, func(i *item) bool { return ids[i.ID] })
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// write appends lines. o.writing is held.
func (o *outbox) write(items []*item, sync bool) error {
	if o.file == nil {
		return fmt.Errorf("cannot write the outbox of purges: %w", fs.ErrClosed)
	}
	_, err := o.file.Write(o.text(items))
	o.lines += len(items)
	if err == nil && sync {
		err = o.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("cannot write the outbox of purges, a restart would forget them: %w", err)
	}
	return nil
}

func (o *outbox) text(items []*item) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b []byte
	for _, i := range items {
		line, err := json.Marshal(i)
		if err != nil {
			panic(err) // an item has strings and numbers alone
		}
		b = append(append(b, line...), '\n')
	}
	return b
}

// rewrite writes the file anew. o.writing is held, or no other goroutine has o yet.
func (o *outbox) rewrite() error {
	o.mu.Lock()
	items := slices.Concat(o.kept, o.waiting)
	o.mu.Unlock()
	err := replaceFile(o.path, o.text(items), true)
	if err == nil {
		err = o.reopen()
	}
	if err != nil {
		return fmt.Errorf("cannot write the outbox of purges anew: %w", err)
	}
	o.lines = len(items)
	return nil
}

func (o *outbox) reopen() error {
	f, err := os.OpenFile(o.path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if o.file != nil {
		o.file.Close()
	}
	o.file = f
	return nil
}

func (o *outbox) close() error {
	o.writing.Lock()
	defer o.writing.Unlock()
	if o.file == nil {
		return nil
	}
	f := o.file
	o.file = nil
	return f.Close()
}
