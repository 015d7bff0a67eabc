package policy

import (
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

func TestDecide(t *testing.T) {
	ok := func(lines ...string) *Response { return received(200, lines...) }
	hour := Rule{OK: Clamp{Default: time.Hour}}
	windows := Rule{Grace: Window{Default: time.Minute}, Keep: Window{Default: time.Hour}}
	override := windows
	override.Grace.Min, override.Keep.Min = override.Grace.Default, override.Keep.Default
	patient := override
	patient.Patience = time.Second
	for _, tt := range []struct {
		rule   string
		meta   *Response
		age    time.Duration
		mark   Mark
		policy Rule
		asks   string
		want   Verdict
	}{
		{rule: "§4 nothing stored: fetch", want: Miss},
		{rule: "§5.2.1.7 only-if-cached, nothing stored: 504", asks: "only-if-cached", want: Unavailable},
		{rule: "§4.2 fresh while lifetime exceeds age", meta: ok("Cache-Control: max-age=60"), age: 59 * time.Second, want: Fresh},
		{rule: "§4.2 stale when age reaches lifetime", meta: ok("Cache-Control: max-age=60"), age: 60 * time.Second, want: Validate},
		{rule: "§4.2.1 no lifetime stated: stale at once", meta: ok(`Etag: "a"`), want: Validate},
		{rule: "§4.2.1 malformed max-age: stale", meta: ok("Cache-Control: max-age=a"), want: Validate},
		{rule: "§4.2.1 s-maxage before max-age", meta: ok("Cache-Control: max-age=10, s-maxage=100"), age: 50 * time.Second, want: Fresh},
		{rule: "§4.2.1 max-age before Expires", meta: ok("Cache-Control: max-age=100", "Expires: 0"), age: 50 * time.Second, want: Fresh},
		{rule: "§4.2.2 no heuristic unless configured", meta: ok("Last-Modified: Sun, 01 Mar 2020 12:00:00 GMT"), want: Validate},
		{rule: "§4.2.2 heuristic where configured", meta: ok("Last-Modified: Sun, 01 Mar 2020 12:00:00 GMT"), age: time.Hour, policy: Rule{Heuristic: true}, want: Fresh},
		{rule: "§4.2.2 operator's lifetime where none is stated", meta: ok(), age: time.Minute, policy: hour, want: Fresh},
		{rule: "§4.2.2 a stated lifetime is not replaced", meta: ok("Cache-Control: max-age=10"), age: time.Minute, policy: hour, want: Validate},
		{rule: "Exactly replaces a stated lifetime", meta: ok("Cache-Control: max-age=10"), age: time.Minute, policy: Rule{OK: Exactly(time.Hour)}, want: Fresh},
		{rule: "Exactly replaces no-cache", meta: ok("Cache-Control: no-cache"), age: time.Minute, policy: Rule{OK: Exactly(time.Hour)}, want: Fresh},
		{rule: "Exactly does not replace an error's no-cache", meta: received(500, "Cache-Control: no-cache, max-age=60"), policy: Rule{OK: Exactly(time.Hour)}, want: Validate},
		{rule: "§4.2.3 Age of a cache before counts", meta: ok("Cache-Control: max-age=60", "Age: 50"), age: 10 * time.Second, want: Validate},
		{rule: "§5.2.1.1 max-age of the request", meta: ok("Cache-Control: max-age=60"), age: 30 * time.Second, asks: "max-age=20", want: Validate},
		{rule: "§5.2.1.1 max-age of the request, young enough", meta: ok("Cache-Control: max-age=60"), age: 20 * time.Second, asks: "max-age=20", want: Fresh},
		{rule: "§5.2.1.1 max-age=0 always validates", meta: ok("Cache-Control: max-age=60"), asks: "max-age=0", want: Validate},
		{rule: "§5.2.1.2 max-stale without argument takes any", meta: ok("Cache-Control: max-age=60"), age: 1000 * time.Hour, asks: "max-stale", want: Stale},
		{rule: "§5.2.1.2 max-stale bounds staleness", meta: ok("Cache-Control: max-age=60"), age: 90 * time.Second, asks: "max-stale=30", want: Stale},
		{rule: "§5.2.1.2 max-stale exceeded", meta: ok("Cache-Control: max-age=60"), age: 91 * time.Second, asks: "max-stale=30", want: Validate},
		{rule: "§5.2.1.3 min-fresh", meta: ok("Cache-Control: max-age=60"), age: 31 * time.Second, asks: "min-fresh=30", want: Validate},
		{rule: "§5.2.1.3 min-fresh met", meta: ok("Cache-Control: max-age=60"), age: 30 * time.Second, asks: "min-fresh=30", want: Fresh},
		{rule: "§5.2.1.4 no-cache of the request", meta: ok("Cache-Control: max-age=60"), asks: "no-cache", want: Validate},
		{rule: "§5.2.1.7 only-if-cached, fresh", meta: ok("Cache-Control: max-age=60"), asks: "only-if-cached", want: Fresh},
		{rule: "§5.2.1.7 only-if-cached, stale: 504", meta: ok("Cache-Control: max-age=60"), age: time.Hour, asks: "only-if-cached", want: Unavailable},
		{rule: "§5.2.1.7 only-if-cached with max-stale", meta: ok("Cache-Control: max-age=60"), age: time.Hour, asks: "only-if-cached, max-stale", want: Stale},
		{rule: "§5.2.2.2 must-revalidate forbids max-stale", meta: ok("Cache-Control: max-age=60, must-revalidate"), age: time.Hour, asks: "max-stale", want: Validate},
		{rule: "§5.2.2.2 must-revalidate while fresh", meta: ok("Cache-Control: max-age=60, must-revalidate"), want: Fresh},
		{rule: "§5.2.2.8 proxy-revalidate forbids max-stale", meta: ok("Cache-Control: max-age=60, proxy-revalidate"), age: time.Hour, asks: "max-stale", want: Validate},
		{rule: "§5.2.2.10 s-maxage forbids max-stale", meta: ok("Cache-Control: s-maxage=60"), age: time.Hour, asks: "max-stale", want: Validate},
		{rule: "§5.2.2.4 no-cache always validates", meta: ok("Cache-Control: max-age=60, no-cache"), want: Validate},
		{rule: "§5.2.2.4 no-cache of named fields does not", meta: ok(`Cache-Control: max-age=60, no-cache="X-A"`), want: Fresh},
		{rule: "§5.2.2.4 no-cache forbids max-stale", meta: ok("Cache-Control: no-cache"), asks: "max-stale", want: Validate},
		{rule: "RFC 5861 §3 within its own window", meta: ok("Cache-Control: max-age=60, stale-while-revalidate=30"), age: 90 * time.Second, want: StaleWhileRevalidate},
		{rule: "RFC 5861 §3 after its own window", meta: ok("Cache-Control: max-age=60, stale-while-revalidate=30"), age: 91 * time.Second, want: Validate},
		{rule: "with Patience fresh while lifetime exceeds age", meta: ok("Cache-Control: max-age=60"), age: 59 * time.Second, policy: patient, want: Fresh},
		{rule: "with Patience a validation comes first", meta: ok("Cache-Control: max-age=60"), age: 2 * time.Minute, policy: patient, want: ValidateFirst},
		{rule: "with Patience also within its own window", meta: ok("Cache-Control: max-age=60, stale-while-revalidate=30"), age: 90 * time.Second, policy: patient, want: ValidateFirst},
		{rule: "with Patience and the override", meta: ok("Cache-Control: max-age=60, must-revalidate"), age: 2 * time.Minute, policy: patient, want: ValidateFirst},
		{rule: "with Patience beyond the window", meta: ok("Cache-Control: max-age=60"), age: 3 * time.Minute, policy: patient, want: Validate},
		{rule: "with Patience after a purge", meta: ok("Cache-Control: max-age=60"), age: 2 * time.Minute, mark: MarkedStale, policy: patient, want: Validate},
		{rule: "with Patience, and the request wants a validation", meta: ok("Cache-Control: max-age=60"), age: 2 * time.Minute, policy: patient, asks: "no-cache", want: Validate},
		{rule: "with Patience §5.2.1.7 only-if-cached forbids to wait", meta: ok("Cache-Control: max-age=60"), age: 2 * time.Minute, policy: patient, asks: "only-if-cached", want: StaleWhileRevalidate},
		{rule: "with Patience, missing", meta: received(404, "Cache-Control: max-age=5"), age: time.Minute, policy: patient, want: Validate},
		{rule: "RFC 5861 §3 within the operator's window", meta: ok("Cache-Control: max-age=60"), age: 2 * time.Minute, policy: windows, want: StaleWhileRevalidate},
		{rule: "RFC 5861 §3 the response's window wins", meta: ok("Cache-Control: max-age=60, stale-while-revalidate=0"), age: 61 * time.Second, policy: windows, want: Validate},
		{rule: "RFC 5861 §3 must-revalidate forbids it", meta: ok("Cache-Control: max-age=60, must-revalidate"), age: 2 * time.Minute, policy: windows, want: Validate},
		{rule: "the operator's override holds against must-revalidate", meta: ok("Cache-Control: max-age=60, must-revalidate"), age: 2 * time.Minute, policy: override, want: StaleWhileRevalidate},
		{rule: "the operator's override holds against s-maxage", meta: ok("Cache-Control: s-maxage=60"), age: 2 * time.Minute, policy: override, want: StaleWhileRevalidate},
		{rule: "the operator's override leaves a shorter window of the response's own", meta: ok("Cache-Control: max-age=60, stale-while-revalidate=5, must-revalidate"), age: 66 * time.Second, policy: override, want: Validate},
		{rule: "the operator's override lets a client have max-stale", meta: ok("Cache-Control: max-age=60, must-revalidate"), age: time.Hour, policy: override, asks: "max-stale", want: Stale},
		{rule: "RFC 5861 §3 not against the client's no-cache", meta: ok("Cache-Control: max-age=60"), age: 2 * time.Minute, policy: windows, asks: "no-cache", want: Validate},
		{rule: "Validate asks the origin whatever the lifetime", meta: ok("Cache-Control: max-age=60"), asks: "validate", want: Validate},
		{rule: "the operator's window is not for what was missing", meta: received(404, "Cache-Control: max-age=5"), age: time.Minute, policy: windows, want: Validate},
		{rule: "RFC 5861 §3 its own window is, even for what was missing", meta: received(404, "Cache-Control: max-age=5, stale-while-revalidate=90"), age: time.Minute, policy: windows, want: StaleWhileRevalidate},
		{rule: "RFC 9213 §2.2 targeted field wins", meta: ok("Cache-Control: max-age=1", "Cdn-Cache-Control: max-age=60"), age: 30 * time.Second, want: Fresh},
		{rule: "RFC 9213 §2.1 an invalid targeted field is ignored", meta: ok("Cache-Control: max-age=60", "Cdn-Cache-Control: max-age=?"), age: 30 * time.Second, want: Fresh},
		{rule: "soft purge: validate what is fresh", meta: ok("Cache-Control: max-age=60"), mark: MarkedStale, want: Validate},
		{rule: "soft purge: no stale-while-revalidate", meta: ok("Cache-Control: max-age=60"), age: 2 * time.Minute, mark: MarkedStale, policy: windows, want: Validate},
		{rule: "soft purge: no max-stale", meta: ok("Cache-Control: max-age=60"), age: 2 * time.Minute, mark: MarkedStale, asks: "max-stale", want: Validate},
		{rule: "hard purge: as if nothing were stored", meta: ok("Cache-Control: max-age=60"), mark: MarkedGone, want: Miss},
		{rule: "hard purge, only-if-cached", meta: ok("Cache-Control: max-age=60"), mark: MarkedGone, asks: "only-if-cached", want: Unavailable},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if have := Decide(policytest.Epoch.Add(tt.age), tt.meta, tt.mark, tt.policy, asking(tt.asks)); have != tt.want {
				t.Errorf("verdict %d, want %d", have, tt.want)
			}
		})
	}
}

func TestDecideOnError(t *testing.T) {
	ok := func(lines ...string) *Response { return received(200, lines...) }
	hour := Rule{Keep: Window{Default: time.Hour}}
	override := Rule{Keep: Window{Default: time.Hour, Min: time.Hour}}
	for _, tt := range []struct {
		rule   string
		meta   *Response
		age    time.Duration
		mark   Mark
		policy Rule
		asks   string
		want   Verdict
	}{
		{rule: "nothing stored", want: Fail},
		{rule: "RFC 5861 §4 without a window", meta: ok("Cache-Control: max-age=60"), age: 61 * time.Second, want: Fail},
		{rule: "RFC 5861 §4 within its own window", meta: ok("Cache-Control: max-age=60, stale-if-error=30"), age: 90 * time.Second, want: StaleIfError},
		{rule: "RFC 5861 §4 after its own window", meta: ok("Cache-Control: max-age=60, stale-if-error=30"), age: 91 * time.Second, want: Fail},
		{rule: "RFC 5861 §4 the response's window wins", meta: ok("Cache-Control: max-age=60, stale-if-error=30"), age: 10 * time.Minute, policy: hour, want: Fail},
		{rule: "RFC 5861 §4 the operator's window", meta: ok("Cache-Control: max-age=60"), age: 10 * time.Minute, policy: hour, want: StaleIfError},
		{rule: "RFC 5861 §4 forever", meta: ok("Cache-Control: max-age=60"), age: 1e6 * time.Hour, policy: Rule{Keep: Window{Default: Forever}}, want: StaleIfError},
		{rule: "RFC 5861 §4 the request's stale-if-error", meta: ok("Cache-Control: max-age=60"), age: 10 * time.Minute, asks: "stale-if-error=3600", want: StaleIfError},
		{rule: "§4.2.4 must-revalidate", meta: ok("Cache-Control: max-age=60, must-revalidate"), age: 10 * time.Minute, policy: hour, want: Fail},
		{rule: "§4.2.4 proxy-revalidate", meta: ok("Cache-Control: max-age=60, proxy-revalidate"), age: 10 * time.Minute, policy: hour, want: Fail},
		{rule: "§5.2.2.10 s-maxage", meta: ok("Cache-Control: s-maxage=60"), age: 10 * time.Minute, policy: hour, want: Fail},
		{rule: "§5.2.2.4 no-cache", meta: ok("Cache-Control: no-cache"), age: 10 * time.Minute, policy: hour, want: Fail},
		{rule: "the operator's override holds against must-revalidate", meta: ok("Cache-Control: max-age=60, must-revalidate"), age: 10 * time.Minute, policy: override, want: StaleIfError},
		{rule: "the operator's override holds against a shorter stale-if-error", meta: ok("Cache-Control: max-age=60, stale-if-error=30"), age: 10 * time.Minute, policy: override, want: StaleIfError},
		{rule: "the request's stale-if-error is not against must-revalidate", meta: ok("Cache-Control: max-age=60, must-revalidate"), age: 10 * time.Minute, asks: "stale-if-error=3600", want: Fail},
		{rule: "with Patience, within the other window", meta: ok("Cache-Control: max-age=60"), age: 90 * time.Second, policy: Rule{Grace: Window{Default: time.Minute}, Patience: time.Second}, want: StaleIfError},
		{rule: "with Patience, beyond the other window", meta: ok("Cache-Control: max-age=60"), age: 3 * time.Minute, policy: Rule{Grace: Window{Default: time.Minute}, Patience: time.Second}, want: Fail},
		{rule: "with Patience, when a validation was asked for", meta: ok("Cache-Control: max-age=60"), age: 90 * time.Second, policy: Rule{Grace: Window{Default: time.Minute}, Patience: time.Second}, asks: "validate", want: Fail},
		{rule: "soft purge: still better than an error", meta: ok("Cache-Control: max-age=60"), mark: MarkedStale, policy: hour, want: StaleIfError},
		{rule: "hard purge: never", meta: ok("Cache-Control: max-age=60"), mark: MarkedGone, policy: override, want: Fail},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if have := DecideOnError(policytest.Epoch.Add(tt.age), tt.meta, tt.mark, tt.policy, asking(tt.asks)); have != tt.want {
				t.Errorf("verdict %d, want %d", have, tt.want)
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	m := received(200, "Cache-Control: public, max-age=60, stale-while-revalidate=30")
	rule := Rule{OK: Clamp{Default: time.Hour}, Keep: Window{Default: Forever}}
	now := policytest.Epoch.Add(30 * time.Second)
	q := asking("")
	b.ReportAllocs()
	for b.Loop() {
		if Decide(now, m, NotMarked, rule, q) != Fresh {
			b.Fatal("not fresh")
		}
	}
}
