package policy

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

func TestParseControl(t *testing.T) {
	says := func(change func(*Directives)) Directives {
		d := NoDirectives()
		change(&d)
		return d
	}
	for _, tt := range []struct {
		rule  string
		lines []string
		want  Directives
	}{
		{"no field", nil, NoDirectives()},
		{"an empty field", []string{""}, says(func(*Directives) {})},
		{"§5.2 names in any case", []string{"MAX-AGE=5"}, says(func(d *Directives) { d.MaxAge = 5 * time.Second })},
		{"§5.2 a quoted argument", []string{`max-age="5"`}, says(func(d *Directives) { d.MaxAge = 5 * time.Second })},
		{"§5.2 an escaped quoted argument", []string{`max-age="\5"`}, says(func(d *Directives) { d.MaxAge = 5 * time.Second })},
		{"§5.2 unknown directives are ignored", []string{`community="UCI, no-store", public`}, says(func(d *Directives) { d.Public = true })},
		{"several lines are one list", []string{"max-age=5", "public"}, says(func(d *Directives) { d.MaxAge, d.Public = 5*time.Second, true })},
		{"empty members and white space", []string{" ,, public\t, ,no-transform ,"}, says(func(d *Directives) { d.Public, d.NoTransform = true, true })},
		{"a name with a space before = is no directive", []string{"max-age =5"}, says(func(*Directives) {})},
		{"a prefix of a name is no directive", []string{"no-stores, s-max=5"}, says(func(*Directives) {})},
		{"an argument where none belongs changes nothing", []string{"no-store=5, no-transform=x"}, says(func(d *Directives) { d.NoStore, d.NoTransform = true, true })},
		{"§1.2.2 negative: stale", []string{"max-age=-5"}, says(func(d *Directives) { d.MaxAge = 0 })},
		{"§1.2.2 a fraction: stale", []string{"max-age=5.5"}, says(func(d *Directives) { d.MaxAge = 0 })},
		{"§1.2.2 no number: stale", []string{"max-age"}, says(func(d *Directives) { d.MaxAge = 0 })},
		{"§1.2.2 too large: the largest", []string{"max-age=18446744073709551617"}, says(func(d *Directives) { d.MaxAge = maxDelta })},
		{"§4.2.1 repeated: the smallest", []string{"s-maxage=7, s-maxage=3"}, says(func(d *Directives) { d.SMaxAge = 3 * time.Second })},
		{"§5.2.1.2 max-stale alone", []string{"max-stale"}, says(func(d *Directives) { d.MaxStale = anyStale })},
		{"§5.2.1.2 max-stale with a bound", []string{"max-stale=5"}, says(func(d *Directives) { d.MaxStale = 5 * time.Second })},
		{"§5.2.1 of a request", []string{"min-fresh=5, no-cache, no-store, only-if-cached"}, says(func(d *Directives) {
			d.MinFresh, d.NoCache, d.NoStore, d.OnlyIfCached = 5*time.Second, true, true, true
		})},
		{"§5.2.2 of a response", []string{"must-revalidate, proxy-revalidate, must-understand, private"}, says(func(d *Directives) {
			d.MustRevalidate, d.ProxyRevalidate, d.MustUnderstand, d.Private = true, true, true, true
		})},
		{"§5.2.2.4 qualified no-cache", []string{`no-cache="x-a, X-b"`}, says(func(d *Directives) { d.NoCacheFields = []string{"X-A", "X-B"} })},
		{"§5.2.2.4 qualified by nothing: unqualified", []string{`no-cache=" ,"`}, says(func(d *Directives) { d.NoCache = true })},
		{"§5.2.2.7 qualified private", []string{`private="x-a"`}, says(func(d *Directives) { d.PrivateFields = []string{"X-A"} })},
		{"RFC 5861", []string{"stale-while-revalidate=1, stale-if-error=2"}, says(func(d *Directives) {
			d.StaleWhileRevalidate, d.StaleIfError = time.Second, 2*time.Second
		})},
		{"an unclosed quote takes the rest of its line", []string{`x="a, public`, "no-store"}, says(func(d *Directives) { d.NoStore = true })},
		{"what follows a closed quote is no argument", []string{`max-age="5"9, public`}, says(func(d *Directives) { d.MaxAge, d.Public = 5*time.Second, true })},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if have := parseControl(tt.lines); !reflect.DeepEqual(have, tt.want) {
				t.Errorf("have %+v\nwant %+v", have, tt.want)
			}
		})
	}
}

func TestRequestControl(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		lines []string
		want  bool // no-cache
	}{
		{"§5.4 Pragma alone", []string{"Pragma: x, No-Cache"}, true},
		{"§5.4 Pragma beside Cache-Control is ignored", []string{"Pragma: no-cache", "Cache-Control: max-age=5"}, false},
		{"§5.4 another Pragma", []string{"Pragma: no-cache-please"}, false},
		{"§5.2.1.4 Cache-Control", []string{"Cache-Control: NO-CACHE"}, true},
		{"nothing", nil, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d := RequestControl(policytest.Fields(tt.lines...))
			if d.NoCache != tt.want {
				t.Errorf("no-cache %v, want %v", d.NoCache, tt.want)
			}
			if len(tt.lines) < 2 && d.MaxAge != absent {
				t.Errorf("max-age %v out of nothing", d.MaxAge)
			}
		})
	}
}

// FuzzParseControl holds for any field: durations are absent or in range, names are
// told from quoted text, and a restriction stays one.
func FuzzParseControl(f *testing.F) {
	for _, s := range []string{
		"", "max-age=5", `no-cache="a, b", public`, "no-store", `private="`, "max-stale", `x="\"", s-maxage=1`, "max-age=-1,max-age=3",
		"stale-if-error=99999999999999999999", `a="b"c,no-store`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := parseControl([]string{s})
		for _, v := range []time.Duration{d.MaxAge, d.SMaxAge, d.MinFresh, d.StaleWhileRevalidate, d.StaleIfError} {
			if v != absent && (v < 0 || v > maxDelta || v%time.Second != 0) {
				t.Errorf("delta %v", v)
			}
		}
		if d.MaxStale != absent && d.MaxStale != anyStale && (d.MaxStale < 0 || d.MaxStale > maxDelta) {
			t.Errorf("max-stale %v", d.MaxStale)
		}
		for _, name := range append(d.NoCacheFields, d.PrivateFields...) {
			if name == "" || strings.Contains(name, ",") || strings.TrimSpace(name) != name {
				t.Errorf("field name %q", name)
			}
		}
		// No other line lifts no-store.
		with := parseControl([]string{s, "no-store"})
		if !with.NoStore {
			t.Error("no-store on a line of its own was not seen")
		}
		if !with.MustUnderstand && Storable(Rule{OK: Exactly(time.Hour)}, asking(""), 200, http.Header{"Cache-Control": {s, "no-store"}}) {
			t.Error("no-store, and yet storable")
		}
		// More lines never lengthen a lifetime.
		if tight := parseControl([]string{s, "max-age=1"}); tight.MaxAge > time.Second {
			t.Errorf("max-age %v", tight.MaxAge)
		}
	})
}
