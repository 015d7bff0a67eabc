package origin

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

func TestTidy(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name  string
		class kind.Class
		in    http.Header
		want  http.Header
		odd   []string
	}{
		{"as it should be", kind.Metadata,
			http.Header{"Date": {date(-time.Second)}, "Expires": {date(time.Hour)}, "Age": {"7"}, "Etag": {`"x"`}},
			http.Header{"Date": {date(-time.Second)}, "Expires": {date(time.Hour)}, "Age": {"7"}, "Etag": {`"x"`}}, nil},
		{"no date", kind.Metadata, http.Header{"Expires": {date(time.Hour)}}, http.Header{"Date": {date(0)}, "Expires": {date(time.Hour)}}, nil},
		{"a date long past", kind.Metadata, http.Header{"Date": {date(-400 * day)}, "Expires": {date(-399 * day)}}, http.Header{"Date": {date(0)}}, []string{"date"}},
		{"a date to come", kind.File, http.Header{"Date": {date(2 * day)}, "Expires": {date(3 * day)}}, http.Header{"Date": {date(0)}}, []string{"date"}},
		{"a date that is none", kind.File, http.Header{"Date": {"yesterday"}}, http.Header{"Date": {date(0)}}, []string{"date"}},
		{"a clock an hour off", kind.File, http.Header{"Date": {date(-time.Hour)}}, http.Header{"Date": {date(-time.Hour)}}, nil},
		{"metadata that is fresh for years", kind.Metadata, http.Header{"Date": {date(0)}, "Expires": {date(4000 * day)}}, http.Header{"Date": {date(0)}}, nil},
		{"a file that is", kind.File, http.Header{"Date": {date(0)}, "Expires": {date(300 * day)}}, http.Header{"Date": {date(0)}, "Expires": {date(300 * day)}}, nil},
		{"metadata that is old already", kind.Metadata, http.Header{"Date": {date(0)}, "Age": {"999999"}}, http.Header{"Date": {date(0)}}, []string{"age"}},
		{"a file that is old already", kind.File, http.Header{"Date": {date(0)}, "Age": {"999999"}}, http.Header{"Date": {date(0)}, "Age": {"999999"}}, nil},
		{"an age that is none", kind.File, http.Header{"Date": {date(0)}, "Age": {"-1"}}, http.Header{"Date": {date(0)}}, []string{"age"}},
		{"older than the web", kind.File, http.Header{"Date": {date(0)}, "Age": {"4294967295"}}, http.Header{"Date": {date(0)}}, []string{"age"}},
		{"cookies", kind.File, http.Header{"Date": {date(0)}, "Set-Cookie": {"a=b"}, "Vary": {"*"}}, http.Header{"Date": {date(0)}}, []string{"cookie"}},
	} {
		r := &http.Response{Header: tt.in}
		odd := tidy(r, tt.class, now)
		if !slices.Equal(odd, tt.odd) {
			t.Errorf("%s: odd %q; want %q", tt.name, odd, tt.odd)
		}
		if len(r.Header) != len(tt.want) {
			t.Errorf("%s: %v; want %v", tt.name, r.Header, tt.want)
		}
		for name := range tt.want {
			if r.Header.Get(name) != tt.want.Get(name) {
				t.Errorf("%s: %s: %s; want %s", tt.name, name, r.Header.Get(name), tt.want.Get(name))
			}
		}
	}
}

// What no master should send neither reaches a client nor passes unseen.
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
			url := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
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
				if r.header.Get(name) != "" {
					t.Errorf("%s%s: %s: %s came through", report, path, name, r.header.Get(name))
				}
			}
			if date, err := http.ParseTime(r.header.Get("Date")); err != nil || time.Since(date).Abs() > time.Hour {
				t.Errorf("%s%s: Date: %s", report, path, r.header.Get("Date"))
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
