package policy

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Directives is a parsed Cache-Control field (section 5.2), of a request or a
// response. A duration is -1 when its directive is absent.
type Directives struct {
	MaxAge               time.Duration
	SMaxAge              time.Duration
	MinFresh             time.Duration
	MaxStale             time.Duration // anyStale when the directive has no argument
	StaleWhileRevalidate time.Duration
	StaleIfError         time.Duration

	NoCache         bool
	NoStore         bool
	NoTransform     bool
	OnlyIfCached    bool
	Private         bool
	Public          bool
	MustRevalidate  bool
	ProxyRevalidate bool
	MustUnderstand  bool

	// NoCacheFields and PrivateFields are the arguments of the qualified forms
	// no-cache="a, b" and private="a" (sections 5.2.2.4 and 5.2.2.7). Those forms
	// restrict the listed fields alone, and leave NoCache and Private false.
	NoCacheFields []string
	PrivateFields []string
}

const (
	absent = time.Duration(-1)

	// anyStale is max-stale without an argument (section 5.2.1.2): the client
	// accepts a stale response of any age.
	anyStale = Forever

	// maxDelta stands for every larger delta-seconds (section 1.2.2).
	maxDelta = (1 << 31) * time.Second
)

// NoDirectives is an empty Cache-Control: of a message without the field, or of a
// client that may not steer the cache.
func NoDirectives() Directives {
	return Directives{
		MaxAge: absent, SMaxAge: absent, MinFresh: absent, MaxStale: absent,
		StaleWhileRevalidate: absent, StaleIfError: absent,
	}
}

// RequestControl reads a request's Cache-Control, or its Pragma where there is
// none (section 5.4).
func RequestControl(h http.Header) Directives {
	if lines := h["Cache-Control"]; len(lines) > 0 {
		return parseControl(lines)
	}
	d := NoDirectives()
	for _, line := range h["Pragma"] {
		d.NoCache = d.NoCache || containsToken(line, "no-cache")
	}
	return d
}

// parseControl reads the Cache-Control field lines of a message.
//
// A malformed directive still restricts: a max-age without a number makes the
// response stale, for section 4.2.1 encourages caches to take invalid freshness
// information so. Of repeated durations the smallest counts. The same section
// allows the first or "stale", and the smallest is between the two.
func parseControl(lines []string) Directives {
	d := NoDirectives()
	for _, line := range lines {
		for line != "" {
			var name, arg string
			var hasArg bool
			name, arg, hasArg, line = nextDirective(line)
			d.set(name, arg, hasArg)
		}
	}
	return d
}

// nextDirective cuts one directive off the front of a list: a name and an
// argument. The argument is a token, or a quoted-string whose commas do not divide
// the list.
func nextDirective(s string) (name, arg string, hasArg bool, rest string) {
	s = strings.TrimLeft(s, " \t,")
	i := strings.IndexAny(s, "=,")
	if i < 0 {
		return strings.TrimRight(s, " \t"), "", false, ""
	}
	if s[i] == ',' {
		return strings.TrimRight(s[:i], " \t"), "", false, s[i+1:]
	}
	name, s = s[:i], s[i+1:] // a space before "=" belongs to the name, which is unknown then
	if !strings.HasPrefix(s, `"`) {
		if i = strings.IndexByte(s, ','); i < 0 {
			i = len(s)
		}
		return name, strings.TrimRight(s[:i], " \t"), true, s[i:]
	}
	var b strings.Builder
	for i = 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
			continue
		case '"':
			rest = s[i+1:]
			if i = strings.IndexByte(rest, ','); i < 0 {
				return name, b.String(), true, ""
			}
			return name, b.String(), true, rest[i:]
		}
		b.WriteByte(s[i])
	}
	return name, b.String(), true, "" // an unclosed quote swallows the rest of the line
}

// set takes one directive in. Unknown ones are ignored (section 5.2.3).
func (d *Directives) set(name, arg string, hasArg bool) {
	switch strings.ToLower(name) {
	case "max-age":
		setDelta(&d.MaxAge, arg)
	case "s-maxage":
		setDelta(&d.SMaxAge, arg)
	case "min-fresh":
		setDelta(&d.MinFresh, arg)
	case "max-stale":
		if !hasArg {
			d.MaxStale = anyStale
			return
		}
		setDelta(&d.MaxStale, arg)
	case "stale-while-revalidate":
		setDelta(&d.StaleWhileRevalidate, arg)
	case "stale-if-error":
		setDelta(&d.StaleIfError, arg)
	case "no-cache":
		if fields := fieldNames(arg); len(fields) > 0 {
			d.NoCacheFields = append(d.NoCacheFields, fields...)
			return
		}
		d.NoCache = true
	case "private":
		if fields := fieldNames(arg); len(fields) > 0 {
			d.PrivateFields = append(d.PrivateFields, fields...)
			return
		}
		d.Private = true
	case "no-store":
		d.NoStore = true
	case "no-transform":
		d.NoTransform = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "public":
		d.Public = true
	case "must-revalidate":
		d.MustRevalidate = true
	case "proxy-revalidate":
		d.ProxyRevalidate = true
	case "must-understand":
		d.MustUnderstand = true
	}
}

// setDelta takes in the argument of a directive that wants delta-seconds.
func setDelta(to *time.Duration, arg string) {
	v, ok := parseDelta(arg)
	if !ok {
		v = 0
	}
	if *to == absent || v < *to {
		*to = v
	}
}

// parseDelta reads delta-seconds (section 1.2.2): digits and nothing else. A
// larger one than maxDelta becomes that.
func parseDelta(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > int64(maxDelta/time.Second) {
		return maxDelta, true
	}
	return time.Duration(n) * time.Second, true
}

// fieldNames splits the argument of a qualified directive.
func fieldNames(arg string) []string {
	var out []string
	for f := range strings.SplitSeq(arg, ",") {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, http.CanonicalHeaderKey(f))
		}
	}
	return out
}

// containsToken says whether a list has a member, in any case.
func containsToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}
