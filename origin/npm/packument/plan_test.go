package packument

import (
	"bytes"
	"testing"
)

func TestPlanJoinsPiecesThatTouch(t *testing.T) {
	p := &plan{src: []byte("0123456789"), added: []byte("abc")}
	p.copy(2, 4)
	p.copy(4, 4)
	p.copy(4, 6)
	p.copy(9, 10)
	p.add(10, 1) // position 10 is the first text of our own
	p.add(11, 2)
	var b bytes.Buffer
	n, err := p.WriteTo(&b)
	if err != nil || b.String() != "23459abc" || n != 8 || p.size != 8 {
		t.Errorf("wrote %q, %d of %d: %v", b.String(), n, p.size, err)
	}
	if len(p.pieces) != 3 {
		t.Errorf("pieces %v, want three", p.pieces)
	}
}
