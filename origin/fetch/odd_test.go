package fetch

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"pkgedge/origin/origintest"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// A field that no master should send neither reaches a client nor passes unseen.
func TestOddFieldsAreDroppedAndCounted(t *testing.T) {
	for _, odd := range []struct {
		report string
		change func(h http.Header)
	}{
		{"A cookie", func(h http.Header) { h.Set("Set-Cookie", "session=1") }},
		{"A date", func(h http.Header) { h.Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT") }},
		{"A date", func(h http.Header) { h.Set("Date", "Fri, 31 Dec 9999 23:59:59 GMT") }},
		{"A date", func(h http.Header) { h.Set("Date", "the day before yesterday") }},
		{"A age", func(h http.Header) { h.Set("Age", "-5") }},
		{"A trailers", func(h http.Header) { h.Set("Trailer", "X-Late") }},
	} {
		report, change := odd.report, odd.change
		for _, path := range []string{aPackument, aTarball} {
			store, err := sample.Samples()
			if err != nil {
				t.Fatal(err)
			}
			m := faults.NewMaster(store)
			url := origintest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				change(w.Header())
				m.ServeHTTP(noLength{w}, r)
				if report == "A trailers" {
					w.Header().Set("X-Late", "late")
				}
			})
			b := newBehind(t, []string{url})
			r, err := b.get(t, path)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"Set-Cookie", "Trailer", "X-Late"} {
				if r.Header.Get(name) != "" {
					t.Errorf("%s%s: %s: %s came through", report, path, name, r.Header.Get(name))
				}
			}
			if date, err := http.ParseTime(r.Header.Get("Date")); err != nil || time.Since(date).Abs() > time.Hour {
				t.Errorf("%s%s: Date: %s", report, path, r.Header.Get("Date"))
			}
			if !slices.Contains(b.reported(), report) {
				t.Errorf("%s%s: reports %q", report, path, b.reported())
			}
		}
	}
}

// noLength lets trailers follow.
type noLength struct{ http.ResponseWriter }

func (w noLength) WriteHeader(status int) {
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(status)
}
