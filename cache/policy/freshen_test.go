package policy

import (
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

func TestFreshen(t *testing.T) {
	later := policytest.Epoch.Add(time.Hour)
	base := func(lines ...string) *Response { return received(200, append(lines, "Cache-Control: max-age=60")...) }
	for _, tt := range []struct {
		rule     string
		base     *Response
		renewing []string
		field    string
		want     string
	}{
		{"§3.2 a field is replaced", base("X-A: old"), []string{"X-A: new"}, "X-A", "new"},
		{"§3.2 a field is added", base(), []string{"X-A: new"}, "X-A", "new"},
		{"§4.3.4 a field that the 304 has not stays", base("X-A: old"), nil, "X-A", "old"},
		{"§3.2 Content-Length stays", base("Content-Length: 5"), []string{"Content-Length: 0"}, "Content-Length", "5"},
		{"§3.2 Content-Encoding stays", base("Content-Encoding: gzip"), []string{"Content-Encoding: br"}, "Content-Encoding", "gzip"},
		{"§3.2 Content-Encoding does not appear", base(), []string{"Content-Encoding: br"}, "Content-Encoding", ""},
		{"§3.2 Content-Type stays", base("Content-Type: text/plain"), []string{"Content-Type: text/html"}, "Content-Type", "text/plain"},
		{"§3.2 Content-Range does not appear", base(), []string{"Content-Range: bytes 0-1/2"}, "Content-Range", ""},
		{"§3.1 no hop-by-hop field", base(), []string{"Connection: X-A", "X-A: 1"}, "X-A", ""},
		{"§3.1 no Set-Cookie", base(), []string{"Set-Cookie: a=b"}, "Set-Cookie", ""},
		{"§4.2.3 the old Age is gone", base("Age: 50"), nil, "Age", ""},
		{"§4.2.3 the 304's Age counts", base("Age: 50"), []string{"Age: 7"}, "Age", "7"},
		{"§5.2.2.4 fields a qualified no-cache names are not added", base(), []string{`Cache-Control: no-cache="X-A"`, "X-A: 1"}, "X-A", ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			before := tt.base.Header.Clone()
			m := tt.base.Freshened(policytest.Fields(tt.renewing...), later, later)
			if have := m.Header.Get(tt.field); have != tt.want {
				t.Errorf("%s is %q, want %q", tt.field, have, tt.want)
			}
			if !reflect.DeepEqual(tt.base.Header, before) {
				t.Error("the stored response was changed: it is immutable")
			}
		})
	}
}

func TestFreshenStartsTheLifetimeAnew(t *testing.T) {
	later := policytest.Epoch.Add(time.Hour)
	m := received(200, "Cache-Control: max-age=60", "Age: 50")
	m.Vary = []string{"Accept", "a"}
	renewed := m.Freshened(policytest.Fields("Cache-Control: max-age=120"), later, later)
	n := &renewed
	if Decide(later.Add(119*time.Second), n, NotMarked, Rule{}, asking("")) != Fresh {
		t.Error("stale within the 304's lifetime")
	}
	if Decide(later.Add(120*time.Second), n, NotMarked, Rule{}, asking("")) == Fresh {
		t.Error("fresh beyond the 304's lifetime")
	}
	if !slices.Equal(m.Vary, n.Vary) || n.Status != http.StatusOK {
		t.Error("freshening changed more than the fields")
	}
	// A 304 that was itself under way for long, or in another cache.
	renewed = m.Freshened(policytest.Fields("Date: "+later.Add(-time.Minute).Format(http.TimeFormat)), later, later)
	if age := n.Age(later); age != time.Minute {
		t.Errorf("age %v after a 304 sent a minute before, want 1m", age)
	}
}

func TestFreshenedKeepsTheSpan(t *testing.T) {
	m := received(200, "Cache-Control: max-age=60")
	m.Span = &Span{First: 1, Total: 9, Size: 5}
	if n := m.Freshened(nil, policytest.Epoch, policytest.Epoch); n.Span == nil || *n.Span != *m.Span {
		t.Errorf("§4.3.4 a part of the representation has become %v", n.Span)
	}
}
