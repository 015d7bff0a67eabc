package packument

import "io"

// plan is a document as a list of pieces of its source, with texts of our own
// between them. Positions below len(src) lie in src, the others in own.
type plan struct {
	src, added []byte
	pieces     []piece
	size       int64
}

// piece is a range of positions. Eight bytes, without a pointer: there may be
// a hundred thousand, and the collector need not look at them.
type piece struct{ at, n uint32 }

// MaxSource is the largest source of a plan, in bytes. It leaves positions for
// the texts of our own.
const MaxSource = 1 << 30

// add appends n bytes from position at. Pieces that touch become one.
func (p *plan) add(at, n int) {
	if n == 0 {
		return
	}
	p.size += int64(n)
	if last := len(p.pieces) - 1; last >= 0 && at != len(p.src) {
		if l := &p.pieces[last]; int(l.at)+int(l.n) == at {
			l.n += uint32(n)
			return
		}
	}
	p.pieces = append(p.pieces, piece{uint32(at), uint32(n)})
}

// copy appends the source from one offset to another.
func (p *plan) copy(from, to int) { p.add(from, to-from) }

// reset drops all pieces.
func (p *plan) reset() { p.pieces, p.size = p.pieces[:0], 0 }

// gather is how many bytes of small pieces WriteTo joins into one write.
const gather = 16 << 10

// WriteTo writes the document. It may be called more than once, also at the
// same time.
func (p *plan) WriteTo(w io.Writer) (int64, error) {
	var total int64
	buf := make([]byte, 0, min(gather, p.size))
	write := func(b []byte) error {
		n, err := w.Write(b)
		total += int64(n)
		return err
	}
	for _, piece := range p.pieces {
		b := p.bytes(piece)
		if len(buf)+len(b) > cap(buf) && len(buf) > 0 {
			if err := write(buf); err != nil {
				return total, err
			}
			buf = buf[:0]
		}
		if len(b) < cap(buf) {
			buf = append(buf, b...)
			continue
		}
		if err := write(b); err != nil {
			return total, err
		}
	}
	if len(buf) > 0 {
		if err := write(buf); err != nil {
			return total, err
		}
	}
	return total, nil
}

func (p *plan) bytes(q piece) []byte {
	if at := int(q.at); at < len(p.src) {
		return p.src[at : at+int(q.n)]
	}
	at := int(q.at) - len(p.src)
	return p.added[at : at+int(q.n)]
}
