package main

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pkgedge/cache"
	"pkgedge/cache/policy"
)

// Each parser of a client's field against a second reading of the same grammar,
// written as plainly as can be.

var (
	rangesGrammar = regexp.MustCompile(`^(?i:bytes)[ \t]*=[ \t,]*(?:(?:[0-9]+-[0-9]*|-[0-9]+)[ \t]*(?:,[ \t,]*|$))+$`)
	rangeGrammar  = regexp.MustCompile(`([0-9]*)-([0-9]*)`)
)

func FuzzRange(f *testing.F) {
	for _, seed := range []string{
		"bytes=0-0", "bytes=2-", "bytes=-3", "bytes=0-1, 3-4 ,-1", "BYTES=0-", "bytes=,,0-1,", "bytes=5-2", "bytes=-", "bytes=",
		"bytes=1", "bytes=a-b", "bytes=+1-2", "bytes=1-2-3", "lines=0-1", "bytes 0-1", "bytes=99999999999999999999-",
		"bytes=0-99999999999999999999", "bytes=-0", "bytes=" + strings.Repeat("1-1,", 17), "bytes=0 - 1", "bytes=0-1;q=1", " bytes=0-1",
	} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, field string, size int64) {
		size = max(0, size)
		ranges, ok := policy.ParseRange([]string{field})
		want := naiveRanges(field)
		if trimmed := strings.TrimLeft(field, " \t"); trimmed != field {
			return // net/http takes white space off before anyone looks
		}
		if ok != (want != nil) || ok && len(want) != len(ranges) {
			t.Fatalf("%q: %v, %v; want %v", field, ranges, ok, want)
		}
		for i, r := range ranges {
			start, length := r.In(size)
			if start < 0 || length < 0 || start+length > size {
				t.Fatalf("%q of %d bytes: %d bytes from %d", field, size, length, start)
			}
			wantStart, wantLength := naiveIn(want[i], size)
			if length != wantLength || length > 0 && start != wantStart {
				t.Errorf("%q of %d bytes: %d bytes from %d; want %d from %d", field, size, length, start, wantLength, wantStart)
			}
		}
	})
}

// naiveRanges are the two numbers of each range as they are written, nil for a
// field that does not count.
func naiveRanges(field string) (out [][2]string) {
	if !rangesGrammar.MatchString(field) {
		return nil
	}
	for _, m := range rangeGrammar.FindAllStringSubmatch(field, -1) {
		first, last := number(m[1]), number(m[2])
		if first != nil && last != nil && last.Cmp(first) < 0 {
			return nil
		}
		out = append(out, [2]string{m[1], m[2]})
	}
	if len(out) > 16 {
		return nil
	}
	return out
}

// naiveIn counts with numbers of any size.
func naiveIn(r [2]string, size int64) (start, length int64) {
	whole, first, last := big.NewInt(size), number(r[0]), number(r[1])
	if first == nil { // a suffix
		if last.Cmp(whole) > 0 {
			last = whole
		}
		return size - last.Int64(), last.Int64()
	}
	if first.Cmp(whole) >= 0 {
		return 0, 0
	}
	if last == nil || last.Cmp(whole) >= 0 {
		return first.Int64(), size - first.Int64()
	}
	return first.Int64(), last.Int64() - first.Int64() + 1
}

func number(digits string) *big.Int {
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return nil
	}
	return n
}

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
	codings := map[cache.Encoding]*regexp.Regexp{
		cache.Gzip: regexp.MustCompile(coding(`(?:x-)?gzip`)),
		cache.Zstd: regexp.MustCompile(coding(`zstd`)),
	}
	star := regexp.MustCompile(coding(`\*`))
	f.Fuzz(func(t *testing.T, field string) {
		if strings.ContainsFunc(field, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
			return // net/http lets none in, or they mean nothing here
		}
		got := accepted([]string{field})
		if got&^(cache.Gzip|cache.Zstd) != 0 {
			t.Fatalf("%q accepts %b", field, got)
		}
		for e, named := range codings {
			m := named.FindStringSubmatch(field)
			switch {
			case got&e != 0 && m == nil && !(e == cache.Gzip && star.MatchString(field)) && !strings.Contains(field, ";"):
				t.Errorf("%q accepts %b, which it does not name", field, e)
			case got&e != 0 && m != nil && zero.MatchString(m[1]):
				t.Errorf("%q accepts %b, which it refuses", field, e)
			case got&e == 0 && m != nil && m[1] == "" && strings.Count(field, ",") == 0:
				t.Errorf("%q does not accept %b, which it names", field, e)
			}
		}
		if again := accepted([]string{field, ""}); again != got {
			t.Errorf("%q accepts %b, and with an empty line %b", field, got, again)
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
