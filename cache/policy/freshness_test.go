package policy

import (
	"net/http"
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

func TestLifetime(t *testing.T) {
	const day = 24 * time.Hour
	at := func(d time.Duration) string { return policytest.Epoch.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		rule   string
		status int
		lines  []string
		policy Rule
		want   time.Duration
	}{
		{"§4.2.1 s-maxage first", 200, []string{"Cache-Control: max-age=1, s-maxage=2", "Expires: " + at(time.Hour)}, Rule{}, 2 * time.Second},
		{"§4.2.1 then max-age", 200, []string{"Cache-Control: max-age=1", "Expires: " + at(time.Hour)}, Rule{}, time.Second},
		{"§5.3 then Expires less Date", 200, []string{"Expires: " + at(time.Hour), "Date: " + at(time.Minute)}, Rule{}, 59 * time.Minute},
		{"§5.3 Expires without Date: since it was received", 200, []string{"Expires: " + at(time.Hour)}, Rule{}, time.Hour},
		{"§5.3 Expires in the past", 200, []string{"Expires: " + at(-time.Hour)}, Rule{}, 0},
		{"§5.3 invalid Expires: expired, whatever the operator says of silence", 200, []string{"Expires: 0"}, Rule{OK: Clamp{Default: time.Hour}}, 0},
		{"§5.3 two Expires: expired", 200, []string{"Expires: " + at(time.Hour), "Expires: " + at(time.Hour)}, Rule{}, 0},
		{"§1.2.2 a max-age beyond all numbers", 200, []string{"Cache-Control: max-age=99999999999999999999"}, Rule{}, maxDelta},
		{"§4.2.1 of two max-age the smaller", 200, []string{"Cache-Control: max-age=9, max-age=3"}, Rule{}, 3 * time.Second},
		{"§4.2.2 a tenth of the age", 200, []string{"Last-Modified: " + at(-10*time.Hour)}, Rule{Heuristic: true}, time.Hour},
		{"§4.2.2 at most a day", 200, []string{"Last-Modified: " + at(-1000*day)}, Rule{Heuristic: true}, day},
		{"§4.2.2 modified in the future", 200, []string{"Last-Modified: " + at(day)}, Rule{Heuristic: true}, 0},
		{"§4.2.2 not for a 302", 302, []string{"Last-Modified: " + at(-10*time.Hour)}, Rule{Heuristic: true}, 0},
		{"§4.2.2 not where a lifetime is stated", 200, []string{"Cache-Control: max-age=0", "Last-Modified: " + at(-10*time.Hour)}, Rule{Heuristic: true}, 0},
		{"the operator's Default before the heuristic", 200, []string{"Last-Modified: " + at(-10*time.Hour)}, Rule{OK: Clamp{Default: time.Minute}, Heuristic: true}, time.Minute},
		{"the operator's lifetime is for 200 alone", 302, nil, Rule{OK: Clamp{Default: time.Minute}}, 0},
		{"Exactly replaces a stated lifetime", 200, []string{"Cache-Control: s-maxage=5"}, Rule{OK: Exactly(time.Minute)}, time.Minute},
		{"a Clamp of nothing changes none", 200, []string{"Cache-Control: max-age=5"}, Rule{OK: Exactly(0)}, 5 * time.Second},
		{"OK is no lifetime for an error", 500, []string{"Cache-Control: max-age=5"}, Rule{OK: Exactly(day)}, 5 * time.Second},
		{"OK is no lifetime for a 404", 404, []string{"Cache-Control: max-age=5"}, Rule{OK: Exactly(day)}, 5 * time.Second},
		{"Max is the longest lifetime", 200, []string{"Cache-Control: max-age=3600, s-maxage=14400"}, Rule{OK: AtMost(time.Minute)}, time.Minute},
		{"Max counts from when the response was received, not from when a cache before it did", 200, []string{"Cache-Control: s-maxage=14400", "Age: 3000"}, Rule{OK: AtMost(time.Minute)}, 3060 * time.Second},
		{"Max leaves a shorter lifetime", 200, []string{"Cache-Control: max-age=5"}, Rule{OK: AtMost(time.Minute)}, 5 * time.Second},
		{"Default under a Max", 200, nil, Rule{OK: AtMost(time.Minute)}, time.Minute},
		{"Max grows with the time since it was modified", 200, []string{"Cache-Control: max-age=60", "Last-Modified: " + at(-10*time.Hour)}, Rule{OK: AtMost(time.Minute), Heuristic: true}, time.Hour},
		{"Max does not shrink with it", 200, []string{"Last-Modified: " + at(-time.Minute)}, Rule{OK: AtMost(time.Minute), Heuristic: true}, time.Minute},
		{"Max grows to a day", 200, []string{"Last-Modified: " + at(-1000*day)}, Rule{OK: AtMost(time.Minute), Heuristic: true}, day},
		{"Max of a 200 bounds no error", 500, []string{"Cache-Control: max-age=5"}, Rule{OK: AtMost(time.Second)}, 5 * time.Second},
		{"Exactly is no less under the heuristic", 200, []string{"Last-Modified: " + at(-10*time.Hour)}, Rule{OK: Exactly(time.Minute), Heuristic: true}, time.Minute},
		{"Max is not lengthened by the heuristic for a 404", 404, []string{"Last-Modified: " + at(-10*time.Hour)}, Rule{Missing: AtMost(time.Minute), Heuristic: true}, time.Minute},
		{"Default counts from when the response was received", 200, []string{"Age: 3000"}, Rule{OK: Clamp{Default: time.Minute}}, 3060 * time.Second},
		{"so does Default where the origin's clock is slow", 200, []string{"Date: " + at(-time.Hour)}, Rule{OK: Clamp{Default: time.Minute}}, 61 * time.Minute},
		{"so does Exactly", 200, []string{"Cache-Control: max-age=3600", "Age: 3000"}, Rule{OK: Exactly(time.Minute)}, 3060 * time.Second},
		{"so does Missing", 404, []string{"Cache-Control: max-age=300", "Age: 60"}, Rule{Missing: AtMost(10 * time.Second)}, 70 * time.Second},
		{"a stated lifetime counts from when the origin made it", 200, []string{"Cache-Control: max-age=3600", "Age: 3000"}, Rule{OK: AtMost(time.Hour)}, time.Hour},
		{"Forever does not overflow", 200, []string{"Age: 3000"}, Rule{OK: Exactly(Forever)}, Forever},
		{"Missing for a 404 that says nothing", 404, nil, Rule{Missing: AtMost(time.Minute)}, time.Minute},
		{"Missing bounds what a 404 says", 404, []string{"Cache-Control: max-age=3600"}, Rule{Missing: AtMost(time.Minute)}, time.Minute},
		{"Missing does not lengthen what a 410 says", 410, []string{"Cache-Control: max-age=5"}, Rule{Missing: AtMost(time.Minute)}, 5 * time.Second},
		{"RFC 9213 §2.2 Expires is ignored beside a targeted field", 200, []string{"Cdn-Cache-Control: public", "Expires: " + at(time.Hour)}, Rule{}, 0},
		{"RFC 9213 §2.2 targeted max-age beside Cache-Control", 200, []string{"Cdn-Cache-Control: max-age=7", "Cache-Control: s-maxage=1"}, Rule{}, 7 * time.Second},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if have := received(tt.status, tt.lines...).Lifetime(tt.policy); have != tt.want {
				t.Errorf("lifetime %v, want %v", have, tt.want)
			}
		})
	}
}

func TestAge(t *testing.T) {
	at := func(d time.Duration) string { return policytest.Epoch.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		rule      string
		lines     []string
		took, now time.Duration // of the exchange, and since it was received
		want      time.Duration
	}{
		{"§4.2.3 new", nil, 0, 0, 0},
		{"§4.2.3 resident time", nil, 0, 10 * time.Second, 10 * time.Second},
		{"§4.2.3 apparent age: Date in the past", []string{"Date: " + at(-30*time.Second)}, 0, 10 * time.Second, 40 * time.Second},
		{"§4.2.3 Date in the future is no negative age", []string{"Date: " + at(30*time.Second)}, 0, 10 * time.Second, 10 * time.Second},
		{"§4.2.3 Age plus the response delay", []string{"Age: 100"}, 5 * time.Second, 0, 105 * time.Second},
		{"§4.2.3 the greater of the two", []string{"Age: 100", "Date: " + at(-200*time.Second)}, 5 * time.Second, 0, 200 * time.Second},
		{"§5.1 of several Age the first", []string{"Age: 100, 7", "Age: 3"}, 0, 0, 100 * time.Second},
		{"§5.1 a malformed Age is none", []string{"Age: -5"}, 0, 0, 0},
		{"§5.1 a malformed Age is none", []string{"Age: 5.5"}, 0, 0, 0},
		{"§1.2.2 an Age beyond all numbers", []string{"Age: 99999999999999999999"}, 0, 0, maxDelta},
		{"a clock that steps back is no negative age", nil, 0, -time.Hour, 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			h := policytest.Fields(tt.lines...)
			if h.Get("Date") == "" {
				h.Set("Date", policytest.Epoch.Format(http.TimeFormat))
			}
			m := &Response{Status: 200, Header: h, RequestTime: policytest.Epoch.Add(-tt.took), ResponseTime: policytest.Epoch}
			m.Measure()
			if have := m.Age(policytest.Epoch.Add(tt.now)); have != tt.want {
				t.Errorf("age %v, want %v", have, tt.want)
			}
		})
	}
}

func TestTTLIsLifetimeLessAge(t *testing.T) {
	m := received(200, "Cache-Control: max-age=60")
	for _, age := range []time.Duration{0, time.Minute, time.Hour} {
		if have := m.TTL(policytest.Epoch.Add(age), Rule{}); have != time.Minute-age {
			t.Errorf("TTL %v at age %v", have, age)
		}
	}
}

func TestAnnouncedLifetime(t *testing.T) {
	announced := Rule{OK: Clamp{Default: 5 * time.Minute, Min: 12 * time.Hour}, Missing: AtMost(10 * time.Second)}
	for _, tt := range []struct {
		rule   string
		status int
		lines  []string
		policy Rule
		want   time.Duration
	}{
		{"a 200 that says nothing", 200, nil, announced, 12 * time.Hour},
		{"a 200 that states less", 200, []string{"Cache-Control: max-age=300"}, announced, 12 * time.Hour},
		{"a 200 that states more", 200, []string{"Cache-Control: max-age=86400"}, announced, 24 * time.Hour},
		{"a 200 from another cache", 200, []string{"Cache-Control: max-age=300", "Age: 1"}, announced, 5 * time.Minute},
		{"a 200 through another cache that asked", 200, []string{"Cache-Control: max-age=300", "Age: 0"}, announced, 12 * time.Hour},
		{"a 200 from another cache, and a Max", 200, []string{"Cache-Control: max-age=5", "Age: 1"}, Rule{OK: Clamp{Min: time.Hour, Max: time.Minute}}, 61 * time.Second},
		{"a 404", 404, nil, announced, 10 * time.Second},
		{"a 301", 301, []string{"Cache-Control: max-age=7"}, announced, 7 * time.Second},
		{"changes are not announced", 200, nil, Rule{OK: Clamp{Default: 5 * time.Minute}}, 5 * time.Minute},
		{"a shorter Max is lengthened", 200, nil, Rule{OK: Clamp{Default: time.Minute, Min: time.Hour, Max: time.Minute}}, time.Hour},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := received(tt.status, tt.lines...).Lifetime(tt.policy); got != tt.want {
				t.Errorf("lifetime %v, want %v", got, tt.want)
			}
		})
	}
	for control, want := range map[string]Verdict{"no-cache": Fresh, "must-revalidate, max-age=0": Fresh} {
		m := received(200, "Cache-Control: "+control)
		if got := Decide(policytest.Epoch.Add(time.Hour), m, NotMarked, announced, asking("")); got != want {
			t.Errorf("%s, announced: %v", control, got)
		}
		if got := Decide(policytest.Epoch.Add(time.Hour), m, MarkedStale, announced, asking("")); got != Validate {
			t.Errorf("%s, a change was announced: %v", control, got)
		}
		usual := announced
		usual.OK.Min = 0
		if got := Decide(policytest.Epoch.Add(time.Hour), m, NotMarked, usual, asking("")); got != Validate {
			t.Errorf("%s, not announced: %v", control, got)
		}
	}
}

// Clients are told the words of Cache-Control, also where a targeted field decides here.
func TestClients(t *testing.T) {
	for control, want := range map[string]Clients{
		"":                                     {MaxAge: Forever},
		"public, s-maxage=60":                  {MaxAge: Forever},
		"max-age=20, s-maxage=60":              {MaxAge: 20 * time.Second},
		"max-age=0":                            {},
		"no-cache, max-age=60":                 {Ask: true},
		`no-cache="a", max-age=60`:             {MaxAge: time.Minute},
		"no-store":                             {Ask: true, NoStore: true},
		"private, max-age=60":                  {MaxAge: time.Minute, Private: true},
		"must-revalidate, max-age=60, max-age": {},
	} {
		for _, targeted := range []string{"CDN-Cache-Control: max-age=3600", "CDN-Cache-Control: no-store, private", "X: y"} {
			r := received(200, "Cache-Control: "+control, targeted)
			if have := r.Clients(); have != want {
				t.Errorf("%q with %q: %+v, want %+v", control, targeted, have, want)
			}
		}
	}
	r := received(200, "Cache-Control: max-age=20").Freshened(policytest.Fields("Cache-Control: no-cache"), policytest.Epoch, policytest.Epoch)
	if have := r.Clients(); !have.Ask {
		t.Errorf("after a 304: %+v", have)
	}
}

func TestNoTransform(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		lines []string
		want  bool
	}{
		{"§5.2.2.6 nothing said", []string{"Cache-Control: public"}, false},
		{"§5.2.2.6", []string{"Cache-Control: max-age=60, No-Transform"}, true},
		{"§5.2.2.6 on a line of its own", []string{"Cache-Control: max-age=60", "Cache-Control: no-transform"}, true},
		{"§5.2.2.6 inside of a quoted-string", []string{`Cache-Control: private="x, no-transform"`}, false},
		{"RFC 9213 §2.1 in the targeted field", []string{"Cdn-Cache-Control: no-transform"}, true},
		{"RFC 9213 §2.2 the targeted field does not lift it", []string{"Cdn-Cache-Control: max-age=60", "Cache-Control: no-transform"}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if have := received(200, tt.lines...).NoTransform(); have != tt.want {
				t.Errorf("no-transform %v, want %v", have, tt.want)
			}
		})
	}
	m := received(200, "Cache-Control: max-age=60")
	if n := m.Freshened(policytest.Fields("Cache-Control: no-transform"), policytest.Epoch, policytest.Epoch); !n.NoTransform() {
		t.Error("§4.3.4 a 304 does not bring it")
	}
	if !Storable(Rule{}, asking(""), 200, policytest.Fields("Cache-Control: max-age=60, no-transform")) {
		t.Error("§5.2.2.6 not storable: it is about the content alone")
	}
}

// FuzzFreshness holds for any fields: age and lifetime are in range, time makes no
// response fresh, an operator's bounds hold, and a 304 begins anew.
func FuzzFreshness(f *testing.F) {
	at := policytest.Epoch.Format(http.TimeFormat)
	f.Add("max-age=60", "", at, "", "5", "", uint32(10), uint32(0), uint32(0))
	f.Add("", "s-maxage=9", "x", at, "5, 6", at, uint32(0), uint32(60), uint32(0))
	f.Add("no-cache", "", "", "0", "-1", "0", uint32(1), uint32(2), uint32(1))
	f.Add("public", "no-store", at, at, "99999999999999999999", "Sun, 06 Nov 1994 08:49:37 GMT", uint32(0), uint32(0), uint32(9))
	f.Fuzz(func(t *testing.T, control, targeted, date, expires, age, modified string, def, least, most uint32) {
		h := make(http.Header)
		for name, value := range map[string]string{
			"Cache-Control": control, targetField: targeted, "Date": date, "Expires": expires, "Age": age, "Last-Modified": modified,
		} {
			if value != "" {
				h.Set(name, value)
			}
		}
		seconds := func(n uint32) time.Duration { return time.Duration(n) * time.Second }
		bounds := Clamp{seconds(def), seconds(least), seconds(most)}
		m := Received(200, h, nil, policytest.Epoch.Add(-time.Second), policytest.Epoch)
		arrived := m.Age(policytest.Epoch)
		if arrived < time.Second || m.Age(policytest.Epoch.Add(time.Hour)) != arrived+time.Hour {
			t.Errorf("age %v on arrival", arrived)
		}
		for _, rule := range []Rule{{}, {Heuristic: true}, {OK: bounds}, {OK: bounds, Heuristic: true}} {
			life := m.Lifetime(rule)
			if life < 0 {
				t.Errorf("lifetime %v", life)
			}
			if c := rule.OK; c.Max > c.Min && !rule.Heuristic && life > arrived+c.Max {
				t.Errorf("lifetime %v of a response that came at the age of %v, at most %v", life, arrived, c.Max)
			} else if c.Min > 0 && age == "" && life < arrived+c.Min {
				t.Errorf("lifetime %v of a response that came at the age of %v, at least %v", life, arrived, c.Min)
			}
			was := true
			for _, later := range []time.Duration{0, time.Second, time.Hour, 1e5 * time.Hour} {
				now := policytest.Epoch.Add(later)
				is := Decide(now, &m, NotMarked, rule, asking("")) == Fresh
				if is && (!was || m.TTL(now, rule) <= 0) {
					t.Errorf("fresh %v later, with %v left", later, m.TTL(now, rule))
				}
				was = is
			}
		}
		later := policytest.Epoch.Add(1e4 * time.Hour)
		n := m.Freshened(policytest.Fields("Date: "+later.Format(http.TimeFormat)), later, later)
		if n.Age(later) != 0 {
			t.Errorf("age %v after a 304", n.Age(later))
		}
	})
}
