package packument

import (
	"cmp"
	"slices"
	"strings"
)

// semver is a version number (Semantic Versioning 2.0.0), its build left out.
type semver struct {
	major, minor, patch uint64
	pre                 string
}

// IsVersion reports whether a text is a version number as semver has them.
func IsVersion(s string) bool {
	_, ok := parseSemver(s)
	return ok
}

// parseSemver reads a version number.
func parseSemver(s string) (v semver, ok bool) {
	s, _, _ = strings.Cut(s, "+")
	core, pre, isPre := strings.Cut(s, "-")
	v.pre = pre
	parts := strings.Split(core, ".")
	if len(parts) != 3 || isPre && pre == "" || !FileName(s) || strings.ContainsAny(s, " @") {
		return v, false
	}
	for i, to := range []*uint64{&v.major, &v.minor, &v.patch} {
		if *to, ok = parseNumber(parts[i]); !ok {
			return v, false
		}
	}
	return v, true
}

func parseNumber(s string) (n uint64, ok bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// compare orders two versions (section 11).
func (v semver) compare(w semver) int {
	if c := cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor), cmp.Compare(v.patch, w.patch)); c != 0 {
		return c
	}
	if v.pre == "" || w.pre == "" { // a prerelease comes before its release
		return cmp.Compare(boolInt(v.pre == ""), boolInt(w.pre == ""))
	}
	return slices.CompareFunc(strings.Split(v.pre, "."), strings.Split(w.pre, "."), func(a, b string) int {
		n, ok1 := parseNumber(a)
		m, ok2 := parseNumber(b)
		switch {
		case ok1 && ok2:
			return cmp.Compare(n, m)
		case ok1 != ok2: // numbers come first
			return cmp.Compare(boolInt(ok2), boolInt(ok1))
		}
		return strings.Compare(a, b)
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
