package fetch

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"pkgedge/origin/documents"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample/faults"
)

// purse lends up to a sum.
type purse struct {
	mu   sync.Mutex
	left int64
	most int64 // that was lent at a time
	lent int64
}

func (p *purse) ShrinkMemory(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left < n {
		return false
	}
	p.left -= n
	p.lent += n
	p.most = max(p.most, p.lent)
	return true
}

func (p *purse) GrowMemory(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left += n
	p.lent -= n
}

func sharing(d *documents.Memory) option { return func(c *setup) { c.Documents = d } }

// allGivenBack fails the test unless a fetch can have all that there is.
func allGivenBack(t *testing.T, d *documents.Memory) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := d.Reserve(ctx, math.MaxInt64)
	if err != nil {
		t.Error("something is still taken")
		return
	}
	p.Release()
}

// within returns a bound of exactly that size.
func within(size int64, lender documents.Lender) *documents.Memory {
	return documents.New(documents.Bounds{Bytes: size, Coders: 1}, lender)
}

// A document many times larger than the bound is served all the same, of every
// site, while others take all that there is.
func TestHugeDocumentIsServedWithinItsBound(t *testing.T) {
	huge := faults.Packument("big", 500)
	for _, tt := range []struct {
		name string
		body []byte
		zip  bool
		size bool // the length is declared
	}{
		{"identity", huge, false, true},
		{"identity, chunked", huge, false, false},
		{"gzip", zipped(huge), true, true},
		{"gzip, chunked", zipped(huge), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.zip {
					w.Header().Set("Content-Encoding", "gzip")
				}
				if tt.size {
					w.Header().Set("Content-Length", strconv.Itoa(len(tt.body)))
				}
				w.Write(tt.body)
			})
			lender := &purse{left: 64 << 20}
			d := within(50<<10, lender)
			var wg sync.WaitGroup
			for range 2 {
				b := newBehind(t, []string{url}, sharing(d))
				wg.Go(func() {
					r, err := b.get(t, "/big")
					if err != nil {
						t.Error(err)
						return
					}
					origintest.Same(t, "gzip", gunzip(t, r.Find(t, "full", "gzip")), r.Find(t, "full", ""))
				})
			}
			wg.Wait()
			allGivenBack(t, d)
			// One at a time: the document, twice where it had to grow, its compressed
			// form, and its summary.
			if need := int64(len(huge)); lender.most < need || lender.most > 4*need || lender.lent != 0 {
				t.Errorf("%d bytes were lent at a time, for a document of %d, and %d still are", lender.most, need, lender.lent)
			}
		})
	}
}

// An accepted document is served, one at a time, within any budget.
func TestDocumentThatNobodyLendsTo(t *testing.T) {
	w := origintest.NewTwo(t)
	if err := w.Store.AddPackument(faults.Packument("big", 400)); err != nil {
		t.Fatal(err)
	}
	d := within(50<<10, &purse{left: 100 << 10})
	b := newBehind(t, w.URLs, sharing(d))
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			r, err := b.get(t, "/big")
			if err != nil {
				t.Error(err)
				return
			}
			origintest.Same(t, "gzip", gunzip(t, r.Find(t, "full", "gzip")), r.Find(t, "full", ""))
		})
	}
	all.Wait()
	allGivenBack(t, d)
}

// A fill has its place until every variant is written.
func TestDocumentIsReservedUntilItIsWritten(t *testing.T) {
	w := origintest.NewTwo(t)
	d := within(1<<20, &purse{})
	b := newBehind(t, w.URLs[:1], sharing(d))
	r := &origintest.Recorder{Refuse: errors.New("seen enough")}
	r.OnWhole = func() {
		now, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.Reserve(now, 1<<20); err == nil {
			t.Error("its memory is given back")
		}
		if _, err := d.AcquireCoder(now, 1<<20); err == nil {
			t.Error("another one is compressed")
		}
	}
	if err := b.Fetch(t.Context(), pool.Request{Route: b.route(aPackument)}, r); !errors.Is(err, r.Refuse) {
		t.Fatal(err)
	}
	allGivenBack(t, d)
}
