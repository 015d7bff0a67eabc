package objects

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A file is found by its digest, and a purge names a package. So each package has references to
// its files, objects without bytes below refs/: a hard purge lists them, and deletes the files.
// One that two packages have is deleted with the first of them: this is a cache.

// groupOf is the directory of a package's references.
func groupOf(site, group string) string {
	sum := sha256.Sum256([]byte(site + "\x00" + group))
	return "refs/" + hex.EncodeToString(sum[:16]) + "/"
}

// referenceOf is the name of the reference to a file, and fileOf the key of the file.
func referenceOf(key string) string {
	return strings.Replace(strings.TrimPrefix(key, "cas/"), "/", "-", 1)
}

func fileOf(reference string) string { return "cas/" + strings.Replace(reference, "-", "/", 1) }

// forgets are the packages whose files are to be deleted.
type forgets struct {
	more chan struct{} // there is one more

	mu     sync.Mutex
	groups map[string]bool
}

// maxForgets bounds them. A purge that is not among them is in force all the same: no edge that
// has heard of it takes a file from before it.
const maxForgets = 4096

// Forget has the files of a package deleted, some time later. It never waits. The caller has put
// the purge in force before, so that this edge takes none of them from then on.
func (s *Store) Forget(site, group string) {
	if !s.forgets.add(groupOf(site, group)) {
		s.cfg.Log.Warn("too many purged packages wait for the shared store: files stay there", "site", site, "package", group)
		return
	}
	select {
	case s.forgets.more <- struct{}{}:
	default:
	}
}

func (f *forgets) add(group string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.groups == nil {
		f.groups = make(map[string]bool)
	}
	if !f.groups[group] && len(f.groups) >= maxForgets {
		return false
	}
	f.groups[group] = true
	return true
}

func (f *forgets) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.groups))
}

func (f *forgets) remove(group string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.groups, group)
}

func (f *forgets) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.groups)
}

// forgetAll deletes the files of all packages that wait for it, until one of them fails. The
// rest is tried again.
func (s *Store) forgetAll(ctx context.Context) {
	for _, group := range s.forgets.all() {
		if !s.health.usable() || ctx.Err() != nil {
			return
		}
		if err := s.forget(ctx, group); err != nil {
			if ctx.Err() == nil {
				s.fault(err)
			}
			return
		}
		s.forgets.remove(group)
	}
}

func (s *Store) forget(ctx context.Context, group string) error {
	for {
		references, more, err := s.list(ctx, group)
		if err != nil {
			return err
		}
		for _, r := range references {
			// The file before its reference, which is to be found again if this ends in between.
			for _, key := range []string{fileOf(r), group + r} {
				if err := s.remove(ctx, key); err != nil {
					return err
				}
			}
			s.counts.deleted.Add(1)
		}
		if !more || len(references) == 0 {
			return nil
		}
	}
}

// listed is the answer to a list, as far as it is read.
type listed struct {
	IsTruncated bool
	Contents    []struct{ Key string }
}

// list returns the references of a package, the first thousand.
func (s *Store) list(ctx context.Context, group string) (references []string, more bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	below := s.prefix + group
	req := s.request(ctx, http.MethodGet, "")
	req.URL.Path, req.URL.RawPath = strings.TrimSuffix(req.URL.Path, s.prefix), ""
	req.URL.RawQuery = url.Values{"list-type": {"2"}, "prefix": {below}}.Encode()
	resp, err := s.send(ctx, cancel, req, emptyHash, s.cfg.FirstByte)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, false, statusError(resp.StatusCode)
	}
	const longest = 4 << 20
	var l listed
	if err := xml.NewDecoder(io.LimitReader(resp.Body, longest)).Decode(&l); err != nil {
		return nil, false, err
	}
	for _, c := range l.Contents {
		if r, ok := strings.CutPrefix(c.Key, below); ok && isReference(r) {
			references = append(references, r)
		}
	}
	return references, l.IsTruncated, nil
}

// isReference says whether a name is one that referenceOf makes.
func isReference(name string) bool {
	algorithm, sum, _ := strings.Cut(name, "-")
	raw, err := hex.DecodeString(sum)
	_, ok := keyOf(algorithm, raw)
	return err == nil && ok
}

func (s *Store) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := s.send(ctx, cancel, s.request(ctx, http.MethodDelete, key), emptyHash, s.cfg.FirstByte)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest && resp.StatusCode != http.StatusNotFound {
		return statusError(resp.StatusCode)
	}
	return nil
}
