package packument

import (
	"errors"
	"fmt"
	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
	"strings"
	"testing"
)

// summaryOf is the summary of a
func summaryOf(t testing.TB, body string) []byte {
	t.Helper()
	documents, err := made("n", kind.Source{Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(kindtest.Contents(t, documents)[kind.Summary])
}

// packumentOf writes a packument of versions.
func packumentOf(rev, modified string, versions ...string) string {
	var b strings.Builder
	b.WriteString(`{"name":"n"`)
	if rev != "" {
		fmt.Fprintf(&b, `,"_rev":%q`, rev)
	}
	if modified != "" {
		fmt.Fprintf(&b, `,"time":{"modified":%q}`, modified)
	}
	b.WriteString(`,"versions":{`)
	for i, v := range versions {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `%q:{}`, v)
	}
	return b.String() + "}}"
}

func TestNothingOlder(t *testing.T) {
	const day1, day2, day3 = "2024-01-01T00:00:00.000Z", "2024-01-02T00:00:00Z", "2024-01-03T01:00:00+01:00"
	older, lost := []error{kind.ErrOlder}, []error{kind.ErrLost}
	both := []error{kind.ErrOlder, kind.ErrLost}
	stored := packumentOf("5-x", day2, "1.0.0", "1.1.0", "2.0.0")
	for _, tt := range []struct {
		name, before, after string
		want                []error // none: it is taken
	}{
		{"the same again", stored, stored, nil},
		{"a new version", stored, packumentOf("6-x", day3, "1.0.0", "1.1.0", "2.0.0", "2.0.1"), nil},
		{"a new version, by a clock that is wrong", stored, packumentOf("1-x", day1, "1.0.0", "1.1.0", "2.0.0", "2.0.1"), nil},
		{"a new date alone", stored, packumentOf("5-x", day3, "1.0.0", "1.1.0", "2.0.0"), nil},
		{"an older date", stored, packumentOf("6-x", day1, "1.0.0", "1.1.0", "2.0.0"), older},
		{"an older revision of the same date", stored, packumentOf("4-x", day2, "1.0.0", "1.1.0", "2.0.0"), older},
		{"an older revision without dates", packumentOf("5-x", "", "1.0.0"), packumentOf("4-x", "", "1.0.0"), older},
		{"another revision of the same count", stored, packumentOf("5-y", day2, "1.0.0", "1.1.0", "2.0.0"), nil},
		{"revisions that do not count", packumentOf("abc", "", "1.0.0"), packumentOf("9-x", "", "1.0.0"), nil},
		{"no date any more", stored, packumentOf("", "", "1.0.0", "1.1.0", "2.0.0"), nil},
		{"a version less, and older", stored, packumentOf("4-x", day1, "1.0.0", "1.1.0"), older},
		{"a version less, and newer", stored, packumentOf("6-x", day3, "1.0.0", "1.1.0"), lost},
		{"a version less, and of the same date", stored, packumentOf("5-x", day2, "1.0.0", "1.1.0"), lost},
		{"one lost, one gained", stored, packumentOf("6-x", day3, "1.0.0", "1.1.0", "3.0.0"), lost},
		{"most lost, and newer", stored, packumentOf("6-x", day3, "1.0.0"), lost},
		{"most lost, and not newer", stored, packumentOf("5-x", day2, "1.0.0"), both},
		{"all lost, and not newer", stored, packumentOf("5-x", day2), both},
		{"all lost, and no dates", packumentOf("", "", "1.0.0"), packumentOf("", ""), both},
		{"unpublished", stored, `{"name":"n","_rev":"6-x","time":{"modified":"2024-02-01T00:00:00Z","unpublished":{}}}`, lost},
	} {
		_, err := made("n", kind.Source{Body: []byte(tt.after), Summary: summaryOf(t, tt.before)})
		for _, e := range both {
			wanted := false
			for _, w := range tt.want {
				wanted = wanted || w == e
			}
			if errors.Is(err, e) != wanted {
				t.Errorf("%s: err = %v; want %v", tt.name, err, tt.want)
			}
		}
		if len(tt.want) == 0 && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A summary of another format says nothing.
func TestForeignMemoIsIgnored(t *testing.T) {
	for _, summary := range []string{"", "x", "npm digests 1\nn\tsha1\tAAAA\n", "npm memo 2", "npm memo 2\n\n\t\n"} {
		if _, err := made("n", kind.Source{Body: []byte(packumentOf("1-x", "", "1.0.0")), Summary: []byte(summary)}); err != nil {
			t.Errorf("%q: %v", summary, err)
		}
	}
}
