package conditional

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each parser of a client's field against a second reading of the same grammar,
// written as plainly as can be.

func FuzzAcceptEncoding(f *testing.F) {
	for _, seed := range []string{
		"", "gzip", "GZIP", "x-gzip", "zstd, gzip", "gzip;q=0", "gzip; q=0.000", "gzip;q=0.001", "*", "*;q=0", "gzip;q=0, *", "identity;q=0, gzip",
		"gzip;q=x", "gzip ; Q=0", "zstd;q=1.0,gzip;q=0", ",,gzip,", "gzipped", "br;q=1;gzip", "gzip;q=0,gzip",
	} {
		f.Add(seed)
	}
	coding := func(name string) string {
		return `(?i)(?:^|,)[ \t]*` + name + `[ \t]*(?:;[ \t]*q[ \t]*=[ \t]*([^,;]*?)[ \t]*)?(?:,|$)`
	}
	zero := regexp.MustCompile(`^0(\.0{0,3})?$`)
	gzip, zstd := regexp.MustCompile(coding(`(?:x-)?gzip`)), regexp.MustCompile(coding(`zstd`))
	star := regexp.MustCompile(coding(`\*`))
	f.Fuzz(func(t *testing.T, field string) {
		if strings.ContainsFunc(field, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
			return // net/http lets none in, or they mean nothing here
		}
		got := AcceptedCodings([]string{field})
		for _, c := range []struct {
			name     string
			accepted bool
			named    *regexp.Regexp
			wildcard bool // "*" stands for it
		}{{"gzip", got.Gzip, gzip, true}, {"zstd", got.Zstd, zstd, false}} {
			m := c.named.FindStringSubmatch(field)
			switch {
			case c.accepted && m == nil && !(c.wildcard && star.MatchString(field)) && !strings.Contains(field, ";"):
				t.Errorf("%q accepts %s, which it does not name", field, c.name)
			case c.accepted && m != nil && zero.MatchString(m[1]):
				t.Errorf("%q accepts %s, which it refuses", field, c.name)
			case !c.accepted && m != nil && m[1] == "" && strings.Count(field, ",") == 0:
				t.Errorf("%q does not accept %s, which it names", field, c.name)
			}
		}
		if again := AcceptedCodings([]string{field, ""}); again != got {
			t.Errorf("%q accepts %v, and with an empty line %v", field, got, again)
		}
	})
}

var tagGrammar = regexp.MustCompile(`^(?:W/)?"[^"]*"$`)

func FuzzIfNoneMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{`"a"`, `"a"`}, {`W/"a"`, `"a"`}, {`"a"`, `W/"a"`}, {`"b", "a"`, `"a"`}, {`"a,b"`, `"a,b"`}, {`"a,*,b"`, `"c"`}, {"*", `"a"`}, {" * ", `"a"`},
		{`"a`, `"a"`}, {`a`, `"a"`}, {`""`, `""`}, {"", ""}, {"W/", ""}, {`"a" "b"`, `"b"`}, {`,,"a",,`, `"a"`}, {`w/"a"`, `"a"`}, {`a, b`, `b`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, field, etag string) {
		got := matches([]string{field}, etag)
		if strings.TrimSpace(field) == "*" {
			if !got {
				t.Errorf("%q does not match", field)
			}
			return
		}
		if got && !strings.Contains(field, strings.TrimPrefix(etag, "W/")) {
			t.Errorf("%q matches %q", field, etag)
		}
		if !tagGrammar.MatchString(etag) {
			return
		}
		// The tag is found wherever it stands in a list of others, and not in
		// one without it.
		others := []string{`"x` + strings.Trim(etag, `W/"`) + `"`, `W/"y,*"`}
		if matches([]string{strings.Join(others, ",")}, etag) && !slices.Contains(others, etag) && etag != `"y,*"` {
			t.Errorf("%q matches %q", others, etag)
		}
		for i := range 3 {
			list := strings.Join(slices.Insert(slices.Clone(others), i, etag), " , ")
			if !matches([]string{list}, etag) {
				t.Errorf("%q does not match %q", list, etag)
			}
		}
	})
}
