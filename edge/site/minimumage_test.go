package site

import (
	"fmt"
	"testing"
	"time"
)

// The files that are known to be old enough are bounded, and those received before
// the age began are not even looked up.
func TestReleasesAreBounded(t *testing.T) {
	now := time.Now()
	r := releases{age: time.Hour}
	for i := range maxReleases + 1 {
		key := fmt.Sprint(i)
		if r.oldEnough(key, now) {
			t.Fatalf("%s passes unseen", key)
		}
		r.add(key)
		if !r.oldEnough(key, now) {
			t.Fatalf("%s is not remembered", key)
		}
	}
	if len(r.old) > maxReleases {
		t.Errorf("%d files are remembered", len(r.old))
	}
	if !r.oldEnough("new", now.Add(-time.Hour)) || !new(releases).oldEnough("new", now) {
		t.Error("what need not be looked up is")
	}
}
