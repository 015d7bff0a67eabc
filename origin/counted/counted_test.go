package counted

import "testing"

func TestValueIsForgottenWithItsLastUser(t *testing.T) {
	var v Values[*int]
	create := func() *int { return new(int) }
	first := v.Acquire("a", create)
	if v.Acquire("a", create) != first {
		t.Error("two users of one key have two values")
	}
	if v.Acquire("b", create) == first {
		t.Error("two keys have one value")
	}
	v.Release("a")
	if v.Acquire("a", create) != first {
		t.Error("forgotten while it had a user")
	}
	v.Release("a")
	v.Release("a")
	if v.Acquire("a", create) == first {
		t.Error("not forgotten with its last user")
	}
}
