package transport

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestSanitize(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	const metadata, file = false, true
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name string
		file bool
		in   http.Header
		want http.Header
		odd  []string
	}{
		{"as it should be", metadata,
			http.Header{"Date": {date(-time.Second)}, "Expires": {date(time.Hour)}, "Age": {"7"}, "Etag": {`"x"`}},
			http.Header{"Date": {date(-time.Second)}, "Expires": {date(time.Hour)}, "Age": {"7"}, "Etag": {`"x"`}}, nil},
		{"no date", metadata, http.Header{"Expires": {date(time.Hour)}}, http.Header{"Date": {date(0)}, "Expires": {date(time.Hour)}}, nil},
		{"a date long past", metadata, http.Header{"Date": {date(-400 * day)}, "Expires": {date(-399 * day)}}, http.Header{"Date": {date(0)}}, []string{"date"}},
		{"a date to come", file, http.Header{"Date": {date(2 * day)}, "Expires": {date(3 * day)}}, http.Header{"Date": {date(0)}}, []string{"date"}},
		{"a date that is none", file, http.Header{"Date": {"yesterday"}}, http.Header{"Date": {date(0)}}, []string{"date"}},
		{"a clock an hour off", file, http.Header{"Date": {date(-time.Hour)}}, http.Header{"Date": {date(-time.Hour)}}, nil},
		{"metadata that is fresh for years", metadata, http.Header{"Date": {date(0)}, "Expires": {date(4000 * day)}}, http.Header{"Date": {date(0)}}, nil},
		{"a file that is", file, http.Header{"Date": {date(0)}, "Expires": {date(300 * day)}}, http.Header{"Date": {date(0)}, "Expires": {date(300 * day)}}, nil},
		{"metadata that is old already", metadata, http.Header{"Date": {date(0)}, "Age": {"999999"}}, http.Header{"Date": {date(0)}}, []string{"age"}},
		{"a file that is old already", file, http.Header{"Date": {date(0)}, "Age": {"999999"}}, http.Header{"Date": {date(0)}, "Age": {"999999"}}, nil},
		{"an age that is none", file, http.Header{"Date": {date(0)}, "Age": {"-1"}}, http.Header{"Date": {date(0)}}, []string{"age"}},
		{"older than the web", file, http.Header{"Date": {date(0)}, "Age": {"4294967295"}}, http.Header{"Date": {date(0)}}, []string{"age"}},
		{"cookies", file, http.Header{"Date": {date(0)}, "Set-Cookie": {"a=b"}, "Vary": {"*"}}, http.Header{"Date": {date(0)}}, []string{"cookie"}},
	} {
		r := &http.Response{Header: tt.in}
		odd := Sanitize(r, tt.file, now)
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
