package policy

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestParseRange(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		lines []string
		want  []Range // nil when it does not count
	}{
		{"RFC 9110 §14.1.2 first and last", []string{"bytes=0-9"}, []Range{{0, 9, false}}},
		{"RFC 9110 §14.1.2 open", []string{"bytes=5-"}, []Range{{5, -1, false}}},
		{"RFC 9110 §14.1.2 suffix", []string{"bytes=-5"}, []Range{{-1, 5, true}}},
		{"RFC 9110 §14.1.2 several", []string{"bytes=0-0, 2-3 ,-1"}, []Range{{0, 0, false}, {2, 3, false}, {-1, 1, true}}},
		{"RFC 9110 §14.1 units in any case", []string{"Bytes=0-9"}, []Range{{0, 9, false}}},
		{"RFC 9110 §5.6.1 empty members", []string{"bytes=,0-9,,"}, []Range{{0, 9, false}}},
		{"RFC 9110 §14.2 another unit", []string{"pages=0-9"}, nil},
		{"RFC 9110 §14.1.1 backwards", []string{"bytes=9-0"}, nil},
		{"RFC 9110 §14.1.1 no number", []string{"bytes=a-9"}, nil},
		{"RFC 9110 §14.1.1 signed", []string{"bytes=+1-9"}, nil},
		{"RFC 9110 §14.1.1 nothing", []string{"bytes=-"}, nil},
		{"RFC 9110 §14.1.1 no dash", []string{"bytes=5"}, nil},
		{"RFC 9110 §14.1.1 one bad member", []string{"bytes=0-9, x"}, nil},
		{"no ranges", []string{"bytes="}, nil},
		{"two lines", []string{"bytes=0-9", "bytes=0-9"}, nil},
		{"absent", nil, nil},
		{"a position beyond all numbers", []string{"bytes=0-99999999999999999999"}, []Range{{0, 1<<62 - 1, false}}},
		{"too many", []string{"bytes=" + strings.Repeat("0-0,", maxRanges+1)}, nil},
		{"as many as are looked at", []string{"bytes=" + strings.Repeat("0-0,", maxRanges)}, make([]Range, maxRanges)},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			have, ok := ParseRange(tt.lines)
			if ok != (tt.want != nil) || ok && !reflect.DeepEqual(have, tt.want) {
				t.Errorf("%v %v, want %v", have, ok, tt.want)
			}
		})
	}
}

func TestRangeIn(t *testing.T) {
	for _, tt := range []struct {
		text                string
		size, start, length int64
	}{
		{"0-9", 100, 0, 10},
		{"90-", 100, 90, 10},
		{"-10", 100, 90, 10},
		{"-1000", 100, 0, 100},
		{"90-1000", 100, 90, 10},
		{"99-99", 100, 99, 1},
		{"100-", 100, 0, 0},
		{"-0", 100, 100, 0},
		{"0-", 0, 0, 0},
		{"-5", 0, 0, 0},
	} {
		r, ok := ParseRange([]string{"bytes=" + tt.text})
		if !ok {
			t.Fatal(tt.text)
		}
		if start, length := r[0].In(tt.size); length != tt.length || length > 0 && start != tt.start {
			t.Errorf("%s of %d bytes: %d from %d, want %d from %d", tt.text, tt.size, length, start, tt.length, tt.start)
		}
	}
}

// FuzzParseRange: an accepted range lies within a representation of any size, and
// so does an accepted Content-Range.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-9", "bytes=-5", "bytes=5-", "bytes=0-0,-1", "bytes=9-0", "bytes=99999999999999999999-", "x", "bytes 0-9/10", "bytes 5-4/*"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, s string, size int64) {
		size &= 1<<50 - 1
		ranges, ok := ParseRange([]string{s})
		if ok == (len(ranges) == 0) || len(ranges) > maxRanges {
			t.Errorf("%d ranges, %v", len(ranges), ok)
		}
		for _, r := range ranges {
			if start, length := r.In(size); start < 0 || length < 0 || length > 0 && start+length > size {
				t.Errorf("%q of %d bytes: %d from %d", s, size, length, start)
			}
		}
		if part, ok := ParseContentRange(http.Header{"Content-Range": {s}}); ok && (part.First < 0 || part.Size < 1 || part.Total < part.First+part.Size) {
			t.Errorf("%q: %+v", s, part)
		}
	})
}

func TestParseContentRange(t *testing.T) {
	for text, want := range map[string][3]int64{
		"bytes 0-9/100":   {0, 9, 100},
		"bytes 99-99/100": {99, 99, 100},
		"bytes 0-9/*":     {},
		"bytes */100":     {},
		"bytes 9-0/100":   {},
		"bytes 0-100/100": {},
		"bytes=0-9/100":   {},
		"pages 0-9/100":   {},
		"":                {},
	} {
		part, ok := ParseContentRange(http.Header{"Content-Range": {text}})
		if ok != (want[2] > 0) || ok && [3]int64{part.First, part.First + part.Size - 1, part.Total} != want {
			t.Errorf("RFC 9110 §14.4 %q: %+v %v", text, part, ok)
		}
	}
}
