package kind

import (
	"slices"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	s := Settings{"text": {"a b"}, "list": {"a", "b"}, "flag": {"true"}, "wait": {"1h30m0s"}}
	if s.Text("text") != "a b" || !s.Flag("flag") || s.Duration("wait") != 90*time.Minute || !slices.Equal(s.List("list"), []string{"a", "b"}) {
		t.Errorf("read %q, %v, %s, %q", s.Text("text"), s.Flag("flag"), s.Duration("wait"), s.List("list"))
	}
	s.List("list")[0] = "changed"
	if s["list"][0] != "a" {
		t.Error("a list can be changed from outside")
	}
	for _, s := range []Settings{nil, {}} {
		if s.Text("x") != "" || s.Flag("x") || s.Duration("x") != 0 || len(s.List("x")) > 0 {
			t.Error("a key that is not there has a value")
		}
	}
}

func TestByName(t *testing.T) {
	kinds := []Descriptor{{Name: "a"}, {Name: "b"}}
	if got := ByName(kinds, "b"); got != &kinds[1] {
		t.Errorf("b is %v", got)
	}
	if got := ByName(kinds, "c"); got != nil {
		t.Errorf("c is %v", got)
	}
}
