package members

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func all(string) bool { return true }

// One that leaves moves its own keys, and these to all others alike.
func TestOwnerMovesItsOwnKeysAlone(t *testing.T) {
	var five []string
	for i := range 5 {
		five = append(five, fmt.Sprintf("10.0.0.%d:8443", i+1))
	}
	const keys = 20000
	shares, heirs := make(map[string]int), make(map[string]int)
	for i := range keys {
		key := fmt.Sprintf("npm\x00/package-%d", i)
		owner := Owner(five, key, all)
		shares[owner]++
		less := slices.DeleteFunc(slices.Clone(five), func(m string) bool { return m == five[2] })
		switch now := Owner(less, key, all); {
		case owner == five[2]:
			heirs[now]++
		case now != owner:
			t.Fatalf("%q moved from %s to %s, which both stayed", key, owner, now)
		}
		if got := Owner(five, key, func(m string) bool { return m != five[2] }); got != Owner(less, key, all) {
			t.Fatalf("%q: one that does not count is unlike one that is not there", key)
		}
		slices.Reverse(less)
		if got := Owner(less, key, all); got != Owner(less[:len(less):len(less)], key, all) {
			t.Fatalf("%q: the order of the list counts", key)
		}
	}
	even := func(what string, counts map[string]int, n int) {
		for m, got := range counts {
			if want := float64(n) / float64(len(counts)); math.Abs(float64(got)-want) > 0.1*want {
				t.Errorf("%s of %s: %d; want about %.0f", what, m, got, want)
			}
		}
	}
	if len(shares) != 5 || len(heirs) != 4 {
		t.Fatalf("%d owners, %d heirs", len(shares), len(heirs))
	}
	even("share", shares, keys)
	even("inheritance", heirs, shares[five[2]])
}

// The choice is part of the contract between edges of two versions.
func TestOwnerIsTheSameInEveryVersion(t *testing.T) {
	three := []string{"a:1", "b:1", "c:1"}
	for key, want := range map[string]string{"npm\x00/left-pad": "a:1", "npm\x00/react": "c:1", "npm\x00/lodash": "c:1"} {
		if got := Owner(three, key, all); got != want {
			t.Errorf("%q: %q", key, got)
		}
	}
}

func TestNoOwner(t *testing.T) {
	if got := Owner(nil, "k", all); got != "" {
		t.Errorf("of nobody: %q", got)
	}
	if got := Owner([]string{"a"}, "k", func(string) bool { return false }); got != "" {
		t.Errorf("of nobody that counts: %q", got)
	}
}

func BenchmarkOwner(b *testing.B) {
	ten := make([]string, 10)
	for i := range ten {
		ten[i] = fmt.Sprintf("10.0.0.%d:8443", i+1)
	}
	for b.Loop() {
		Owner(ten, "npm\x00/@scope/name/-/name-1.0.0.tgz", all)
	}
}
