package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

const heavyFile = "/heavy/-/heavy-1.0.0.tgz"

// addHeavy adds a package of 1.5 MB to the masters.
func addHeavy(t *testing.T, s *served) string {
	t.Helper()
	file := tarball.Noise("heavy", 1_500_000)
	doc := fmt.Appendf(nil, `{"name":"heavy","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"heavy","version":"1.0.0",`+
		`"dist":{"integrity":%q,"shasum":%q,"tarball":"https://registry.example%s"}}}}`, tarball.Integrity(file), tarball.Shasum(file), heavyFile)
	if err := errors.Join(s.store.AddPackument(doc), s.store.AddFile(heavyFile, file, nil)); err != nil {
		t.Fatal(err)
	}
	return string(file)
}

// A master that sends a tarball of 1.5 MB wrong, or not to its end, costs nobody an error while
// another one has it: not the first client, nor those that wait for the same fetch, nor one that
// wants a part of it.
func TestLyingMasterCostsNoClientAnError(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string][]faults.Fault{
		"the first byte is wrong":  {faults.FlipByte(0)},
		"the last byte is wrong":   {faults.FlipByte(-1)},
		"it is short":              {faults.ShortBody(1_350_000)},
		"it is cut at 90 %":        {faults.CutAfter(1_350_000)},
		"it is wrong, and cut too": {faults.FlipByte(100), faults.CutAfter(1_350_000)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServed(t, "")
			want := addHeavy(t, s)
			var begun atomic.Bool
			first := func(r faults.Record) bool { return r.Path == heavyFile && begun.CompareAndSwap(false, true) }
			for _, m := range s.masters { // whichever is asked first
				m.Break(first, trouble...)
			}
			var all sync.WaitGroup
			for i := range 5 {
				all.Go(func() {
					if i == 4 {
						resp, body := s.get(t, heavyFile, "Range", "bytes=100-1499998")
						if resp.StatusCode != http.StatusPartialContent || body != want[100:1_499_999] {
							t.Errorf("a part: %d with %d bytes", resp.StatusCode, len(body))
						}
						return
					}
					if resp, body := s.get(t, heavyFile); resp.StatusCode != http.StatusOK || body != want {
						t.Errorf("%d with %d bytes", resp.StatusCode, len(body))
					}
				})
			}
			all.Wait()
			if !begun.Load() {
				t.Error("no master went wrong")
			}
			s.edge.settle(t)
			if resp, body := s.get(t, heavyFile); body != want || resp.Header.Get("Cache-Status") == "" {
				t.Errorf("stored: %d with %d bytes", resp.StatusCode, len(body))
			}
		})
	}
}
