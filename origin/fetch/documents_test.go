package fetch

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

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

func sharing(d *Documents) option { return func(c *setup) { c.Documents = d } }

// allGivenBack fails the test unless nothing is taken.
func allGivenBack(t *testing.T, d *Documents) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left != d.size || d.loan || len(d.second) != 0 || len(d.coders) != 0 || len(d.queue) != 0 {
		t.Errorf("%d bytes of %d are left, a loan: %t, %d compressing, %d waiting", d.left, d.size, d.loan, len(d.coders), len(d.queue))
	}
}

// within returns Documents of exactly that size.
func within(size int64, lender Lender) *Documents {
	d := NewDocuments(size, lender)
	d.size, d.left, d.small = size, size, 0
	return d
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

func TestDocumentsComeInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := within(100, &purse{left: 1000})
		reserve := func(n int64) (p *reservation, in chan *reservation) {
			in = make(chan *reservation, 1)
			go func() {
				p, err := d.reserve(t.Context(), n)
				if err != nil {
					t.Error(err)
				}
				in <- p
			}()
			synctest.Wait()
			select {
			case p = <-in:
			default:
			}
			return p, in
		}
		one, _ := reserve(60)
		if one == nil {
			t.Fatal("the first waits")
		}
		large, isLarge := reserve(500) // all there is
		small, isSmall := reserve(10)
		if large != nil || small != nil {
			t.Fatal("one passed who has to wait, or overtook who was there first")
		}
		one.release()
		large = <-isLarge
		synctest.Wait()
		if len(isSmall) != 0 || large.taken != 100 {
			t.Fatalf("with %d bytes taken, another enters", large.taken)
		}
		large.release()
		small = <-isSmall
		small.release()
		allGivenBack(t, d)
	})
}

func TestDocumentsWaitEndsWithTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := within(100, &purse{})
		one, err := d.reserve(t.Context(), 90)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		over := errors.New("over")
		done := make(chan error)
		go func() { _, err := d.reserve(ctx, 50); done <- err }()
		synctest.Wait()
		behind := make(chan *reservation, 1)
		go func() { p, _ := d.reserve(t.Context(), 10); behind <- p }()
		synctest.Wait()
		cancel(over)
		if err := <-done; !errors.Is(err, over) {
			t.Errorf("err = %v; want %v", err, over)
		}
		(<-behind).release() // the request behind it need not wait any more
		one.release()
		allGivenBack(t, d)
	})
}

// Of two that need more than there is, each could wait for the memory of the other.
func TestDocumentsBeyondTheBoundOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lender := &purse{left: 1000}
		d := within(100, lender)
		one, _ := d.reserve(t.Context(), 50)
		two, _ := d.reserve(t.Context(), 50)
		if err := one.grow(t.Context(), 50); err != nil || lender.lent != 0 {
			t.Fatalf("%v; %d bytes were lent for nothing", err, lender.lent)
		}
		if err := one.grow(t.Context(), 500); err != nil || lender.lent != 450 {
			t.Fatalf("%v; %d bytes were lent", err, lender.lent)
		}
		done := make(chan error, 1)
		go func() { done <- two.grow(t.Context(), 400) }()
		synctest.Wait()
		if len(done) > 0 {
			t.Fatal("two have loans")
		}
		if err := one.grow(t.Context(), 600); err != nil || lender.lent != 550 {
			t.Fatalf("%v; %d bytes were lent", err, lender.lent)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		over := errors.New("over")
		three, _ := d.reserve(t.Context(), 0)
		gone := make(chan error, 1)
		go func() { gone <- three.grow(ctx, 400) }()
		synctest.Wait()
		cancel(over)
		if err := <-gone; !errors.Is(err, over) {
			t.Errorf("err = %v; want %v", err, over)
		}
		three.release()
		one.release()
		if err := <-done; err != nil || lender.lent != 350 {
			t.Errorf("%v; %d bytes were lent", err, lender.lent)
		}
		two.release()
		allGivenBack(t, d)
		if lender.lent != 0 {
			t.Errorf("%d bytes are still lent", lender.lent)
		}
	})
}

// The fetch with the loan may read from a master that drips. Others go on as soon as
// anybody else leaves, in the order in which they came.
func TestDocumentsDoNotWaitForALoanWhenMemoryIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lender := &purse{left: 1000}
		d := within(100, lender)
		large, _ := d.reserve(t.Context(), 70)
		drips, _ := d.reserve(t.Context(), 10)
		if err := drips.grow(t.Context(), 60); err != nil || lender.lent != 50 {
			t.Fatalf("%v; %d bytes were lent", err, lender.lent)
		}
		growing := []struct {
			name string
			n    int64
			*reservation
			done chan error
		}{
			{name: "one that only a loan can help", n: 101},
			{name: "a large one", n: 80},
			{name: "a small one that came later", n: 5},
		}
		done := func() (names []string) {
			synctest.Wait()
			for _, g := range growing {
				if len(g.done) > 0 {
					names = append(names, g.name)
				}
			}
			return names
		}
		for i := range growing {
			g := &growing[i]
			g.done = make(chan error, 1)
			g.reservation, _ = d.reserve(t.Context(), 0)
		}
		for _, g := range growing {
			go func() { g.done <- g.grow(t.Context(), g.n) }()
			synctest.Wait()
		}
		origintest.Equal(t, "before there is enough for the first", done(), nil)
		large.release()
		origintest.Equal(t, "once there is memory", done(), []string{"a large one", "a small one that came later"})
		// The fetch with the loan takes free memory, too.
		if err := drips.grow(t.Context(), 65); err != nil || lender.lent != 50 {
			t.Errorf("%v; %d bytes are lent", err, lender.lent)
		}
		drips.release()
		if names := done(); len(names) != len(growing) {
			t.Errorf("once there is a loan: %q", names)
		}
		for _, g := range growing {
			if err := <-g.done; err != nil {
				t.Errorf("%s: %v", g.name, err)
			}
			g.release()
		}
		allGivenBack(t, d)
		if lender.lent != 0 {
			t.Errorf("%d bytes are still lent", lender.lent)
		}
	})
}

// A fill has its place until every variant is written.
func TestDocumentIsReservedUntilItIsWritten(t *testing.T) {
	w := origintest.NewTwo(t)
	d := within(1<<20, &purse{})
	b := newBehind(t, w.URLs[:1], sharing(d))
	r := &origintest.Recorder{Refuse: errors.New("seen enough")}
	r.OnWhole = func() {
		if d.left == d.size || len(d.coders) != 1 {
			t.Errorf("%d bytes of %d are left, %d compressing", d.left, d.size, len(d.coders))
		}
	}
	if err := b.Fetch(t.Context(), pool.Request{Route: b.route(aPackument)}, r); !errors.Is(err, r.Refuse) {
		t.Fatal(err)
	}
	allGivenBack(t, d)
}

func TestCodersAreBounded(t *testing.T) {
	for _, size := range []int64{8 << 20, 29 << 20, 1 << 30} {
		d := NewDocuments(size, unlimited{})
		n, second := int64(cap(d.coders)), int64(cap(d.second))
		if n < 1 || n > 1 && n*coder > size/2 || d.size+d.small != max(1<<20, size-n*coder)-second*smallCoder || d.small > d.size/4 {
			t.Errorf("%d: %d compress at a time, and %d bytes are left to documents", size, n, d.size)
		}
	}
}

// A document of 19 MB that waits for memory, and others that are compressed, hold up no
// small one.
func TestSmallDocumentsPassLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDocuments(64<<20, &purse{})
		all, err := d.reserve(t.Context(), d.size)
		if err != nil {
			t.Fatal(err)
		}
		large := make(chan *reservation, 1)
		go func() {
			p, _ := d.reserve(t.Context(), 19<<20)
			large <- p
		}()
		synctest.Wait()
		var compressed []func()
		for range cap(d.coders) {
			release, err := d.acquireCoder(t.Context(), 19<<20)
			if err != nil {
				t.Fatal(err)
			}
			compressed = append(compressed, release)
		}
		left := d.small
		for range 3 { // and each gives back its part
			small, err := d.reserve(t.Context(), 100<<10)
			if err != nil {
				t.Fatal(err)
			}
			if err := small.grow(t.Context(), 300<<10); err != nil {
				t.Fatal(err)
			}
			release, err := d.acquireCoder(t.Context(), 100<<10)
			if err != nil {
				t.Fatal(err)
			}
			release()
			small.release()
		}
		if d.small != left {
			t.Errorf("%d bytes of %d are left for small documents", d.small, left)
		}
		select {
		case <-large:
			t.Error("the large one has passed, too")
		default:
		}
		all.release()
		(<-large).release()
		for _, release := range compressed {
			release()
		}
		allGivenBack(t, d)
	})
}
