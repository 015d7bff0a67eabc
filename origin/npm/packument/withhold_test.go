package packument

import (
	"encoding/json"
	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
	"strings"
	"testing"
	"time"
)

func TestSemver(t *testing.T) {
	ordered := []string{
		"0.0.1", "0.9.10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.10.0", "2.0.0",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			v, ok1 := parseSemver(a)
			w, ok2 := parseSemver(b)
			if got := v.compare(w); !ok1 || !ok2 || got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	for _, s := range []string{"", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.x", "1.0.-1", "1.0.0-", "1.0.0 ", "1..0", strings.Repeat("9", 20) + ".0.0"} {
		if _, ok := parseSemver(s); ok {
			t.Errorf("%q is a version", s)
		}
	}
}

// The rest of a packument is the packument without the versions that are cut out.
func FuzzWithhold(f *testing.F) {
	f.Add([]byte(`{"name":"n","dist-tags":{"latest":"1.2.0","next":"2.0.0-beta.2"},"versions":{"1.0.0":{},"1.1.0":{},"1.2.0":{},"2.0.0-beta.2":{}},` +
		`"time":{"1.0.0":"2024-01-01T00:00:00Z","1.1.0":"2024-02-01T00:00:00Z","1.2.0":"2024-06-09T23:30:00Z","2.0.0-beta.2":"2024-06-09T23:59:00Z"}}`))
	f.Add([]byte(seedPackument))
	f.Add([]byte(`{"name":"n","versions":{"1.0.0":{},"1.0.0":{}},"versions":{"1.0.0":null},"dist-tags":{"a":"1.0.0","b":7},"time":{"1.0.0":7}}`))
	now := time.Date(2024, 6, 10, 0, 0, 0, 0, time.UTC)
	withheld := func(number string, published time.Time) (string, time.Time) {
		if number == "1.0.0" {
			return "it is denied", time.Time{}
		}
		if of := published.Add(time.Hour); !published.IsZero() && of.After(now) {
			return "it is too new", of
		}
		return "", time.Time{}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		documents, err := Make("n", kind.Source{Body: body, Now: now}, Options{Withheld: withheld})
		if err != nil {
			return
		}
		var doc struct{ Versions map[string]json.RawMessage }
		if json.Unmarshal(body, &struct{}{}) == nil && json.Unmarshal([]byte(kindtest.Contents(t, documents)[Full]), &doc) == nil {
			if _, there := doc.Versions["1.0.0"]; there {
				t.Fatalf("1.0.0 is in %s", kindtest.Contents(t, documents)[Full])
			}
		}
	})
}
