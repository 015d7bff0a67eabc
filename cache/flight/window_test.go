package flight

import (
	"bytes"
	"testing"

	"pkgedge/cache/budget"
	"pkgedge/cache/store/storetest"
)

func TestWindowTrim(t *testing.T) {
	text := storetest.Payload(1, 3*budget.BlockSize)
	a := budget.NewBuffers(MaxWindow)
	w := window{start: 100, buffers: a}
	if n := w.put(text); n != len(text) {
		t.Fatalf("%d bytes fit", n)
	}
	for _, slowest := range []int64{0, 100, 100 + budget.BlockSize - 1} {
		if w.trim(slowest); len(w.blocks) != 3 {
			t.Errorf("passed to %d: %d blocks", slowest, len(w.blocks))
		}
	}
	w.trim(100 + budget.BlockSize + 5)
	if w.start != 100+budget.BlockSize+5 || w.has(w.start-1) || !w.has(w.start) || !w.has(100+3*budget.BlockSize-1) || w.has(100+3*budget.BlockSize) {
		t.Errorf("from %d: %d bytes", w.start, w.size)
	}
	if left := a.Left.Load(); len(w.blocks) != 2 || left != MaxWindow-budget.BlockSize {
		t.Errorf("%d blocks, %d bytes are left", len(w.blocks), left)
	}
	p := make([]byte, 2*budget.BlockSize)
	for off := w.start; off < 100+3*budget.BlockSize; {
		n := w.copy(p, off)
		if want := text[off-100:]; n == 0 || !bytes.Equal(p[:n], want[:n]) {
			t.Fatalf("from %d: %d other bytes", off, n)
		}
		off += int64(n)
	}
	w.trim(100 + 3*budget.BlockSize)
	if n := w.put(text); n != len(text) || w.start != 100+3*budget.BlockSize {
		t.Errorf("from %d: %d bytes fit", w.start, n)
	}
	w.drop()
	if left := a.Left.Load(); left != MaxWindow {
		t.Errorf("%d bytes are left", left)
	}
}

// Windows are bounded one by one and all together, and each has a least.
func TestWindowsShareABound(t *testing.T) {
	a := budget.NewBuffers(MaxWindow)
	text := make([]byte, 2*MaxWindow)
	one, two, three := window{buffers: a}, window{buffers: a}, window{buffers: a}
	if n := one.put(text); n != MaxWindow {
		t.Errorf("the first holds %d bytes, want %d", n, MaxWindow)
	}
	if n := two.put(text); n != 2*budget.BlockSize {
		t.Errorf("the second holds %d bytes, want what is left, %d", n, 2*budget.BlockSize)
	}
	if n := three.put(text); n != budget.BlockSize {
		t.Errorf("the third holds %d bytes, want the least, %d", n, budget.BlockSize)
	}
	one.drop()
	if n := budget.BlockSize + three.put(text); n != MaxWindow {
		t.Errorf("with room, the third holds %d bytes, want %d", n, MaxWindow)
	}
	two.drop()
	three.drop()
	three.drop()
	if n := a.Left.Load(); n != MaxWindow {
		t.Errorf("%d bytes are left of %d", n, MaxWindow)
	}
}
