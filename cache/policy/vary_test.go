package policy

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"pkgedge/cache/policy/policytest"
)

// varied is a response to a request with the given fields.
func varied(vary string, request http.Header) *Response {
	h := http.Header{"Vary": {vary}}
	return &Response{Header: h, Vary: varyOf(h, request)}
}

func TestVarySelects(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		vary   string
		first  []string
		second []string
		want   bool
	}{
		{"§4.1 no Vary", "", []string{"Accept: a"}, []string{"Accept: b"}, true},
		{"§4.1 equal", "Accept", []string{"Accept: a"}, []string{"Accept: a"}, true},
		{"§4.1 different", "Accept", []string{"Accept: a"}, []string{"Accept: b"}, false},
		{"§4.1 absent in both", "Accept", nil, nil, true},
		{"§4.1 absent in one", "Accept", []string{"Accept: a"}, nil, false},
		{"§4.1 absent is not empty", "X-A", []string{"X-A: "}, nil, false},
		{"§4.1 another field does not matter", "Accept", []string{"Accept: a", "X-A: 1"}, []string{"Accept: a", "X-A: 2"}, true},
		{"§4.1 every field must match", "Accept, X-A", []string{"Accept: a", "X-A: 1"}, []string{"Accept: a", "X-A: 2"}, false},
		{"§4.1 field names in any case", "accEPT", []string{"Accept: a"}, []string{"Accept: b"}, false},
		{"§4.1 white space", "Accept", []string{"Accept: a,  b"}, []string{"Accept: a ,b"}, true},
		{"§4.1 lines are one list", "X-A", []string{"X-A: a", "X-A: b"}, []string{"X-A: a, b"}, true},
		{"order matters in an unknown field", "X-A", []string{"X-A: a, b"}, []string{"X-A: b, a"}, false},
		{"case matters in an unknown field", "X-A", []string{"X-A: a"}, []string{"X-A: A"}, false},
		{"order does not matter in Accept-Encoding", "Accept-Encoding", []string{"Accept-Encoding: gzip, br"}, []string{"Accept-Encoding: BR,gzip"}, true},
		{"weights matter", "Accept", []string{"Accept: a;q=0.5, b"}, []string{"Accept: a, b;q=0.5"}, false},
		{"blanks around weights do not", "Accept", []string{"Accept: a; q=0.5"}, []string{"Accept: a;q=0.5"}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if have := varied(tt.vary, policytest.Fields(tt.first...)).Selects(policytest.Fields(tt.second...)); have != tt.want {
				t.Errorf("selects %v, want %v", have, tt.want)
			}
		})
	}
}

func TestVarySelectsTheLikedLanguage(t *testing.T) {
	m := varied("Accept-Language", policytest.Fields("Accept-Language: de"))
	m.Header.Set("Content-Language", "de")
	for _, tt := range []struct {
		asks string
		want bool
	}{
		{"de", true},
		{"fr;q=0.5, DE", true},
		{"en, fr", false},
		{"de, fr", false}, // liked alike: the origin may answer with either
		{"de;q=0.4, fr;q=0.5", false},
		{"de;q=x", false},
	} {
		if have := m.Selects(policytest.Fields("Accept-Language: " + tt.asks)); have != tt.want {
			t.Errorf("%q selects %v, want %v", tt.asks, have, tt.want)
		}
	}
}

func TestVaryOf(t *testing.T) {
	have := varyOf(http.Header{"Vary": {"x-b, Accept", " X-B,,"}}, policytest.Fields("X-B: 2"))
	if want := []string{"Accept", "\x00", "X-B", "2"}; !reflect.DeepEqual(have, want) {
		t.Errorf("%q, want %q: sorted, canonical, each once", have, want)
	}
}

func TestVaryAny(t *testing.T) {
	for vary, want := range map[string]bool{"*": true, "Accept, *": true, "Accept": false, "": false, "X-*": false} {
		if varyAny(http.Header{"Vary": {vary}}) != want {
			t.Errorf("%q", vary)
		}
	}
}

// FuzzVary: a request selects the response that it caused. Selection is symmetric,
// and splitting a list over lines changes nothing. The place of a response differs
// from another's exactly where no request selects both.
func FuzzVary(f *testing.F) {
	f.Add("Accept", "a, b", "b, a")
	f.Add("x-a, Accept-Encoding", "gzip;q=0.5", "gzip")
	f.Add(",,", "", "\x00")
	f.Add("*", "a", "b")
	f.Fuzz(func(t *testing.T, vary, one, two string) {
		of := func(v string) http.Header {
			h := make(http.Header)
			for name := range strings.SplitSeq(vary, ",") {
				h.Add(strings.TrimSpace(name), v)
			}
			return h
		}
		first, second := of(one), of(two)
		m, n := varied(vary, first), varied(vary, second)
		if !m.Selects(first) {
			t.Errorf("%q is not selected by its own request", m.Vary)
		}
		if len(m.Vary)%2 != 0 {
			t.Errorf("odd: %q", m.Vary)
		}
		if m.Selects(second) != n.Selects(first) {
			t.Error("selection is not symmetric")
		}
		if m.Selects(second) != (varyKey("id", m.Vary) == varyKey("id", n.Vary)) {
			t.Errorf("%q and %q: selected by the place, or by the values, but not both", m.Vary, n.Vary)
		}
		split := make(http.Header)
		for name, values := range first {
			for _, v := range values {
				for part := range strings.SplitSeq(v, ",") {
					split[name] = append(split[name], part)
				}
			}
		}
		if !m.Selects(split) {
			t.Errorf("%q is not selected by %q", m.Vary, split)
		}
	})
}
