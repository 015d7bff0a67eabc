package badcopies

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestBadCopiesAreBoundedAndPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New()
		a, b := named("a"), named("b")
		order := func(key string) string {
			o := []named{a, b}
			MoveLast(d, o, key, time.Now())
			return string(o[0] + o[1])
		}
		d.Add(a, "x", time.Now())
		if order("x") != "ba" || order("y") != "ab" {
			t.Errorf("x %s, y %s", order("x"), order("y"))
		}
		// Each has its turn.
		for _, next := range []struct {
			wrong named
			want  string
		}{{b, "ab"}, {a, "ba"}, {b, "ab"}} {
			<-time.After(time.Second)
			if d.Add(next.wrong, "x", time.Now()); order("x") != next.want {
				t.Errorf("after %s was wrong: %s", next.wrong.Name(), order("x"))
			}
		}
		<-time.After(badFor)
		if order("x") != "ab" || d.sent.Len() != 0 {
			t.Errorf("x %s later, and %d bad copies", order("x"), d.sent.Len())
		}
		for i := range 2 * maxBadCopies {
			d.Add(a, fmt.Sprint(i), time.Now())
			<-time.After(time.Millisecond)
		}
		if d.sent.Len() > maxBadCopies || order(fmt.Sprint(2*maxBadCopies-1)) != "ba" || order("0") != "ab" {
			t.Errorf("%d bad copies", d.sent.Len())
		}
	})
}

// named is a master.
type named string

func (n named) Name() string { return string(n) }
