package documents

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"pkgedge/origin/origintest"
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

// allGivenBack fails the test unless nothing is taken.
func allGivenBack(t *testing.T, d *Memory) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left != d.size || d.loan || len(d.second) != 0 || len(d.coders) != 0 || len(d.queue) != 0 {
		t.Errorf("%d bytes of %d are left, a loan: %t, %d compressing, %d waiting", d.left, d.size, d.loan, len(d.coders), len(d.queue))
	}
}

// within returns a bound of exactly that size.
func within(size int64, lender Lender) *Memory {
	return New(Bounds{Bytes: size, Coders: 1}, lender)
}

func TestDocumentsComeInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := within(100, &purse{left: 1000})
		reserve := func(n int64) (p *Reservation, in chan *Reservation) {
			in = make(chan *Reservation, 1)
			go func() {
				p, err := d.Reserve(t.Context(), n)
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
		one.Release()
		large = <-isLarge
		synctest.Wait()
		if len(isSmall) != 0 || large.taken != 100 {
			t.Fatalf("with %d bytes taken, another enters", large.taken)
		}
		large.Release()
		small = <-isSmall
		small.Release()
		allGivenBack(t, d)
	})
}

func TestDocumentsWaitEndsWithTheFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := within(100, &purse{})
		one, err := d.Reserve(t.Context(), 90)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		over := errors.New("over")
		done := make(chan error)
		go func() { _, err := d.Reserve(ctx, 50); done <- err }()
		synctest.Wait()
		behind := make(chan *Reservation, 1)
		go func() { p, _ := d.Reserve(t.Context(), 10); behind <- p }()
		synctest.Wait()
		cancel(over)
		if err := <-done; !errors.Is(err, over) {
			t.Errorf("err = %v; want %v", err, over)
		}
		(<-behind).Release() // the request behind it need not wait any more
		one.Release()
		allGivenBack(t, d)
	})
}

// Of two that need more than there is, each could wait for the memory of the other.
func TestDocumentsBeyondTheBoundOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lender := &purse{left: 1000}
		d := within(100, lender)
		one, _ := d.Reserve(t.Context(), 50)
		two, _ := d.Reserve(t.Context(), 50)
		if err := one.Grow(t.Context(), 50); err != nil || lender.lent != 0 {
			t.Fatalf("%v; %d bytes were lent for nothing", err, lender.lent)
		}
		if err := one.Grow(t.Context(), 500); err != nil || lender.lent != 450 {
			t.Fatalf("%v; %d bytes were lent", err, lender.lent)
		}
		done := make(chan error, 1)
		go func() { done <- two.Grow(t.Context(), 400) }()
		synctest.Wait()
		if len(done) > 0 {
			t.Fatal("two have loans")
		}
		if err := one.Grow(t.Context(), 600); err != nil || lender.lent != 550 {
			t.Fatalf("%v; %d bytes were lent", err, lender.lent)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		over := errors.New("over")
		three, _ := d.Reserve(t.Context(), 0)
		gone := make(chan error, 1)
		go func() { gone <- three.Grow(ctx, 400) }()
		synctest.Wait()
		cancel(over)
		if err := <-gone; !errors.Is(err, over) {
			t.Errorf("err = %v; want %v", err, over)
		}
		three.Release()
		one.Release()
		if err := <-done; err != nil || lender.lent != 350 {
			t.Errorf("%v; %d bytes were lent", err, lender.lent)
		}
		two.Release()
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
		large, _ := d.Reserve(t.Context(), 70)
		drips, _ := d.Reserve(t.Context(), 10)
		if err := drips.Grow(t.Context(), 60); err != nil || lender.lent != 50 {
			t.Fatalf("%v; %d bytes were lent", err, lender.lent)
		}
		growing := []struct {
			name string
			n    int64
			*Reservation
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
			g.Reservation, _ = d.Reserve(t.Context(), 0)
		}
		for _, g := range growing {
			go func() { g.done <- g.Grow(t.Context(), g.n) }()
			synctest.Wait()
		}
		origintest.Equal(t, "before there is enough for the first", done(), nil)
		large.Release()
		origintest.Equal(t, "once there is memory", done(), []string{"a large one", "a small one that came later"})
		// The fetch with the loan takes free memory, too.
		if err := drips.Grow(t.Context(), 65); err != nil || lender.lent != 50 {
			t.Errorf("%v; %d bytes are lent", err, lender.lent)
		}
		drips.Release()
		if names := done(); len(names) != len(growing) {
			t.Errorf("once there is a loan: %q", names)
		}
		for _, g := range growing {
			if err := <-g.done; err != nil {
				t.Errorf("%s: %v", g.name, err)
			}
			g.Release()
		}
		allGivenBack(t, d)
		if lender.lent != 0 {
			t.Errorf("%d bytes are still lent", lender.lent)
		}
	})
}

func TestCodersAreBounded(t *testing.T) {
	for _, size := range []int64{8 << 20, 29 << 20, 1 << 30} {
		d := New(Split(size), &purse{})
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
		d := New(Split(64<<20), &purse{})
		all, err := d.Reserve(t.Context(), d.size)
		if err != nil {
			t.Fatal(err)
		}
		large := make(chan *Reservation, 1)
		go func() {
			p, _ := d.Reserve(t.Context(), 19<<20)
			large <- p
		}()
		synctest.Wait()
		var compressed []func()
		for range cap(d.coders) {
			release, err := d.AcquireCoder(t.Context(), 19<<20)
			if err != nil {
				t.Fatal(err)
			}
			compressed = append(compressed, release)
		}
		left := d.small
		for range 3 { // and each gives back its part
			small, err := d.Reserve(t.Context(), 100<<10)
			if err != nil {
				t.Fatal(err)
			}
			if err := small.Grow(t.Context(), 300<<10); err != nil {
				t.Fatal(err)
			}
			release, err := d.AcquireCoder(t.Context(), 100<<10)
			if err != nil {
				t.Fatal(err)
			}
			release()
			small.Release()
		}
		if d.small != left {
			t.Errorf("%d bytes of %d are left for small documents", d.small, left)
		}
		select {
		case <-large:
			t.Error("the large one has passed, too")
		default:
		}
		all.Release()
		(<-large).Release()
		for _, release := range compressed {
			release()
		}
		allGivenBack(t, d)
	})
}
