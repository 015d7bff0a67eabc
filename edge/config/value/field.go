package value

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pkgedge/origin/kind"
)

// Values of single fields, each of one sort.

// ParseListen reads host:port, or nothing for no listener.
func ParseListen(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return text, CheckListen(text)
}

// ParseCapacity reads a size above zero.
func ParseCapacity(text string) (int64, error) {
	n, err := ParseSize(text)
	if err == nil && n == 0 {
		err = errors.New("must be above zero: write a size such as 256MiB")
	}
	return n, err
}

func ParseFile(text string) (string, error) {
	if text == "" || strings.ContainsRune(text, 0) {
		return "", errors.New("names no file or directory: write a path")
	}
	return text, nil
}

// ParseScope reads the name of a scope.
func ParseScope(text string) (string, error) {
	name := strings.ToLower(text)
	if !scopeName.MatchString(name) {
		return "", fmt.Errorf(`%q is not a scope: write "@acme", in quotes`, text)
	}
	return name, nil
}

// ParseCredentials reads the value of an Authorization field; one word alone is
// a bearer token. Its errors do not repeat the text.
func ParseCredentials(text string) (string, error) {
	switch {
	case text == "":
		return "", errors.New("is empty: set the variable, or remove the key")
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", errors.New("has a byte in it that no field may have: is there a line break at its end?")
	case !strings.Contains(text, " "):
		return "Bearer " + text, nil
	}
	return text, nil
}

var scopeName = regexp.MustCompile(`^@[a-z0-9_-][a-z0-9._-]*$`)

// ParseWait reads a duration above zero: no wait is without a bound.
func ParseWait(text string) (time.Duration, error) {
	d, err := ParseDuration(text)
	if err == nil && d == 0 {
		err = errors.New("must be above zero: every wait for a master has a bound")
	}
	return d, err
}

// ParseProbePath reads the path of a probe below a master's URL, with its query;
// "" leaves it to the edge.
func ParseProbePath(text string) (string, error) {
	if u, err := url.ParseRequestURI(text); text != "" && (err != nil || u.Host != "" || !strings.HasPrefix(text, "/")) {
		return "", fmt.Errorf("%q is not a path below the masters' URLs: write /-/ping, or remove the key for a choice of the edge's own", text)
	}
	return text, nil
}

// ParseTimes reads how often something must happen.
func ParseTimes(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 16)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a number of probes: write 1 or more", text)
	}
	return int(n), nil
}

// ParseLife reads a duration or "forever".
func ParseLife(text string) (time.Duration, error) {
	if text == "forever" {
		return kind.Forever, nil
	}
	d, err := ParseDuration(text)
	if err != nil {
		err = fmt.Errorf("%w, or forever", err)
	}
	return d, err
}

// ParseDomain reads a name that a certificate can be obtained for.
func ParseDomain(text string) (string, error) {
	if strings.HasPrefix(text, "*.") {
		return "", fmt.Errorf("a certificate for %q needs a DNS challenge, which is not built: list each name", text)
	}
	if _, err := netip.ParseAddr(text); err == nil || !IsHost(text) {
		return "", fmt.Errorf("%q is not a domain name: write registry.example", text)
	}
	return strings.ToLower(text), nil
}

// ParseDirectory reads the URL of an ACME directory.
func ParseDirectory(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return "", errors.New("is not the https:// URL of an ACME directory; leave it empty for the usual one")
	}
	return text, nil
}

// ParseProfile reads the name of one of an ACME CA's profiles.
func ParseProfile(text string) (string, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%q is not a name of a profile: write one of the authority's, such as shortlived", text)
	}
	return text, nil
}
