package budget

import (
	"sync"
	"sync/atomic"
)

// Buffers counts the bytes of bodies in flight: those in memory and not in the memory
// tier. Small bodies are collected or copied for the tier, others are in ristretto's queue,
// and no tier takes the rest. Take never waits. A caller that gets no bytes does without: a
// window that cannot grow counts as full.
type Buffers struct {
	Left   atomic.Int64 // bytes
	blocks sync.Pool    // *Block
}

// BlockSize is the size in bytes of the blocks that hold a body no tier takes. The
// first block of each body is not counted.
const BlockSize = 64 << 10

// Block is a piece of such a body.
type Block [BlockSize]byte

// NewBuffers makes Buffers of size bytes.
func NewBuffers(size int64) *Buffers {
	b := &Buffers{blocks: sync.Pool{New: func() any { return new(Block) }}}
	b.Left.Store(size)
	return b
}

// Take reserves n bytes, or none and is false.
func (b *Buffers) Take(n int64) bool {
	if b.Left.Add(-n) < 0 {
		b.Left.Add(n)
		return false
	}
	return true
}

// Release returns n reserved bytes.
func (b *Buffers) Release(n int64) { b.Left.Add(n) }

// Block returns a block, which Recycle takes back. Neither counts its bytes.
func (b *Buffers) Block() *Block { return b.blocks.Get().(*Block) }

// Recycle ends the use of a block.
func (b *Buffers) Recycle(block *Block) { b.blocks.Put(block) }
