package policy

import (
	"net/http"
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

// at is an HTTP-date so long after Epoch.
func at(d time.Duration) string { return policytest.Epoch.Add(d).UTC().Format(http.TimeFormat) }

func TestValidators(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		lines  []string
		strong bool
	}{
		{"§8.8.2.2 a second later", []string{"Last-Modified: " + at(-time.Second), "Date: " + at(0)}, true},
		{"§8.8.2.2 long after", []string{"Last-Modified: " + at(-1000*time.Hour), "Date: " + at(0)}, true},
		{"§8.8.2.2 in the same second", []string{"Last-Modified: " + at(0), "Date: " + at(0)}, false},
		{"§8.8.2.2 before it was modified", []string{"Last-Modified: " + at(time.Hour), "Date: " + at(0)}, false},
		{"§8.8.2.2 in the same second, long ago", []string{"Last-Modified: " + at(-time.Hour), "Date: " + at(-time.Hour)}, false},
		{"§6.6.1 no Date, received a second later", []string{"Last-Modified: " + at(-time.Second)}, true},
		{"§6.6.1 no Date, received in the same second", []string{"Last-Modified: " + at(0)}, false},
		{"§5.6.7 a Date that is none", []string{"Last-Modified: " + at(0), "Date: tomorrow"}, false},
		{"§5.6.7 another form of the date", []string{"Last-Modified: " + policytest.Epoch.Add(-time.Hour).UTC().Format(time.ANSIC), "Date: " + at(0)}, true},
		{"an odd date, long after", []string{"Last-Modified: " + policytest.Epoch.Add(-25*time.Hour).UTC().Format("Mon, 2 Jan 2006 15:04:05") + " UTC", "Date: " + at(0)}, true},
		{"an odd date, in a zone that may be another", []string{"Last-Modified: " + policytest.Epoch.Add(-5*time.Hour).UTC().Format("Mon, 2 Jan 2006 15:04:05") + " EST", "Date: " + at(0)}, false},
		{"no date at all", []string{"Last-Modified: yesterday", "Date: " + at(0)}, false},
		{"two dates", []string{"Last-Modified: " + at(-time.Hour), "Last-Modified: " + at(-time.Hour), "Date: " + at(0)}, false},
		{"none", []string{"Date: " + at(0)}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for _, tag := range []string{"", `"a"`, `W/"a"`} {
				lines := tt.lines
				if tag != "" {
					lines = append(lines, "Etag: "+tag)
				}
				r := received(200, lines...)
				etag, modified := r.Validators()
				if etag != tag || (modified != "") != tt.strong || tt.strong && modified != r.Header.Get("Last-Modified") {
					t.Errorf("ETag %q, Last-Modified %q", etag, modified)
				}
			}
		})
	}
}

// A weak date does not become strong by a validation that was about something else.
func TestAWeakDateStaysWeak(t *testing.T) {
	later := policytest.Epoch.Add(time.Hour)
	for tag, strong := range map[string]bool{"": false, `W/"a"`: false, `"a"`: true} {
		for _, renewing := range [][]string{nil, {"Date: " + at(time.Hour)}, {"Date: " + at(time.Hour), "Last-Modified: " + at(0)}} {
			n := received(200, "Last-Modified: "+at(0), "Etag: "+tag).Freshened(policytest.Fields(renewing...), later, later)
			if _, modified := n.Validators(); (modified != "") != strong {
				t.Errorf("%q and %q: Last-Modified %q", tag, renewing, modified)
			}
		}
	}
	n := received(200, "Last-Modified: "+at(-time.Minute)).Freshened(nil, later, later)
	if _, modified := n.Validators(); modified == "" {
		t.Error("a strong one is lost")
	}
}

// A HEAD says nothing of the stored response when all they have in common is a weak date.
func TestSameRepresentationByDate(t *testing.T) {
	for ago, want := range map[time.Duration]bool{0: false, time.Second: true} {
		r := received(200, "Last-Modified: "+at(-ago), "Content-Length: 5")
		head := policytest.Fields("Last-Modified: "+at(-ago), "Content-Length: 5", "Date: "+at(time.Hour))
		if r.SameRepresentation(head) != want {
			t.Errorf("%v after it was modified: %v", ago, !want)
		}
	}
	r := received(200, "Last-Modified: "+at(0), `Etag: "a"`)
	if !r.SameRepresentation(policytest.Fields("Last-Modified: "+at(0), `Etag: "a"`)) {
		t.Error("with an equal ETag")
	}
}

// FuzzStrongDate: a date is strong only where the response was made after that second, and
// stays strong for a response that was made later.
func FuzzStrongDate(f *testing.F) {
	f.Add(at(0), at(0))
	f.Add(at(-time.Second), at(0))
	f.Add("Tue, 1 Jul 2025 00:00:00 UTC", "")
	f.Fuzz(func(t *testing.T, modified, date string) {
		h := http.Header{"Last-Modified": {modified}, "Date": {date}}
		if !StrongDate(h, policytest.Epoch) {
			return
		}
		made := dateValue(h, policytest.Epoch)
		if m, ok := ParseDate(modified, policytest.Epoch); ok && !made.After(m) {
			t.Errorf("%q is strong in %q", modified, date)
		}
		h.Set("Date", made.Add(time.Hour).UTC().Format(http.TimeFormat))
		if y := made.Year(); y > 0 && y < 9000 && !StrongDate(h, policytest.Epoch) {
			t.Errorf("%q is weak an hour later", modified)
		}
	})
}
