package cache

import (
	"sync"
	"sync/atomic"
)

// afloat counts the bytes of bodies that are in memory and not in the memory
// tier: small ones that are collected or copied for it, those that ristretto has
// not decided on, and what no tier takes. Nobody waits until others give some back:
// who finds none does without, and a window that cannot grow is as good as full.
type afloat struct {
	left  atomic.Int64
	slabs sync.Pool // *slab
}

// slabSize is the bytes in which bodies are held that no tier takes. The first
// slab of each is not counted.
const slabSize = 64 << 10

type slab [slabSize]byte

func newAfloat(size int64) *afloat {
	a := &afloat{slabs: sync.Pool{New: func() any { return new(slab) }}}
	a.left.Store(size)
	return a
}

func (a *afloat) take(n int64) bool {
	if a.left.Add(-n) < 0 {
		a.left.Add(n)
		return false
	}
	return true
}

func (a *afloat) give(n int64) { a.left.Add(n) }

// slab is a block of memory, and recycle ends its use. Blocks are not counted: the
// user takes their bytes, or has the first of a body for nothing.
func (a *afloat) slab() *slab { return a.slabs.Get().(*slab) }

func (a *afloat) recycle(s *slab) { a.slabs.Put(s) }
