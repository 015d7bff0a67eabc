package policy

import (
	"net/http"
	"testing"
	"time"
)

func TestTargeted(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		lines []string
		ok    bool
		want  func(d Directives) bool
	}{
		{"RFC 9213 §2.1 absent", nil, false, nil},
		{"RFC 9213 §2.1 empty: ignored", []string{""}, false, nil},
		{"RFC 9213 §2.1 no dictionary: ignored", []string{"max-age=60, &"}, false, nil},
		{"RFC 9213 §2.1 names are lower case: ignored", []string{"Max-Age=60"}, false, nil},
		{"RFC 9213 §2.1 a number", []string{"max-age=60"}, true, func(d Directives) bool { return d.MaxAge == time.Minute }},
		{"RFC 9213 §2.1 a string is no number: ignored", []string{`max-age="60"`}, false, nil},
		{"RFC 9213 §2.1 a fraction: ignored", []string{"max-age=60.5"}, false, nil},
		{"RFC 9213 §2.1 negative: ignored", []string{"max-age=-1"}, false, nil},
		{"RFC 9213 §2.1 parameters mean nothing", []string{"max-age=60;x=1"}, true, func(d Directives) bool { return d.MaxAge == time.Minute }},
		{"RFC 8941 §3.2 the last of a repeated name counts", []string{"max-age=1", "max-age=60"}, true, func(d Directives) bool { return d.MaxAge == time.Minute }},
		{"the largest number", []string{"max-age=999999999999999"}, true, func(d Directives) bool { return d.MaxAge == maxDelta }},
		{"a directive without argument", []string{"no-store, must-revalidate"}, true, func(d Directives) bool { return d.NoStore && d.MustRevalidate }},
		{"a directive that is false", []string{"no-store=?0, public"}, true, func(d Directives) bool { return !d.NoStore && d.Public }},
		{"an argument where none belongs still restricts", []string{"no-store=1"}, true, func(d Directives) bool { return d.NoStore }},
		{"a string where none belongs still restricts", []string{`no-store="x"`}, true, func(d Directives) bool { return d.NoStore }},
		{"§5.2.2.4 qualified no-cache", []string{`no-cache="x-a", max-age=5`}, true, func(d Directives) bool { return !d.NoCache && len(d.NoCacheFields) == 1 && d.NoCacheFields[0] == "X-A" }},
		{"§5.2.2.4 a token qualifies as a string does", []string{`private=x-a`}, true, func(d Directives) bool { return d.Private || len(d.PrivateFields) == 1 }},
		{"unknown directives", []string{`foo="bar", public`}, true, func(d Directives) bool { return d.Public }},
		{"RFC 5861", []string{"stale-while-revalidate=1, stale-if-error=2"}, true, func(d Directives) bool {
			return d.StaleWhileRevalidate == time.Second && d.StaleIfError == 2*time.Second
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d, ok := parseTargeted(tt.lines)
			if ok != tt.ok || ok && !tt.want(d) {
				t.Errorf("valid %v: %+v", ok, d)
			}
		})
	}
}

// FuzzTargeted holds for any targeted field: durations are absent or in range, an
// invalid field counts as absent, and its no-store keeps a response out.
func FuzzTargeted(f *testing.F) {
	for _, s := range []string{"", "max-age=5", "no-store", "no-store=?0", `no-cache="a"`, "private=x", "max-age=1.5", "a=(1 2)", "max-age=5;p", "MAX-AGE=5", "no-store=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := parseTargeted([]string{s})
		for _, v := range []time.Duration{d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfError} {
			if ok && v != absent && (v < 0 || v > maxDelta || v%time.Second != 0) {
				t.Errorf("delta %v", v)
			}
		}
		h := http.Header{targetField: {s}, "Cache-Control": {"no-store"}}
		stored := Storable(Rule{OK: Exactly(time.Hour)}, asking(""), 200, h)
		if !ok && stored {
			t.Error("an invalid field lifted no-store")
		}
		if ok && stored && d.NoStore && !d.MustUnderstand {
			t.Error("no-store, and yet storable")
		}
	})
}
