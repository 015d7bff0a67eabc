package value

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"pkgedge/origin/kind"
)

// AsWritten takes any text.
func AsWritten(text string) (string, error) { return text, nil }

var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
}

// ParseSize reads a whole number of bytes: "256MiB", "1GB" or "4096".
func ParseSize(text string) (int64, error) {
	number, unit := text, int64(1)
	for _, u := range units {
		if n := len(text) - len(u.name); n > 0 && strings.EqualFold(text[n:], u.name) {
			number, unit = strings.TrimRight(text[:n], " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && n > math.MaxInt64/unit:
		return 0, fmt.Errorf("the size %q is too large", text)
	case err != nil:
		return 0, fmt.Errorf("%q is not a size: write 256MiB, 10GiB, 1GB or plain bytes", text)
	case n < 0:
		return 0, fmt.Errorf("the size %q is below zero", text)
	}
	return n * unit, nil
}

// FormatSize writes n as ParseSize reads it, in the largest unit without a
// fraction.
func FormatSize(n int64) string {
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// ParseDuration reads the durations of time.ParseDuration, with days of 24 hours in
// front: "5m", "1d12h".
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration: write 10s, 5m, 24h or 30d", text)
	var days time.Duration
	rest := text
	if number, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			if strings.HasPrefix(text, "-") {
				return 0, fmt.Errorf("the duration %q is below zero", text)
			}
			return 0, bad
		}
		if n > 36500 {
			return 0, fmt.Errorf("the duration %q is longer than 100 years", text)
		}
		days, rest = time.Duration(n)*24*time.Hour, after
		if rest == "" {
			return days, nil
		}
		if strings.ContainsAny(rest, "+-") {
			return 0, bad
		}
	}
	d, err := time.ParseDuration(rest)
	switch {
	case err != nil:
		return 0, bad
	case d < 0:
		return 0, fmt.Errorf("the duration %q is below zero", text)
	case d > 36500*24*time.Hour-days:
		return 0, fmt.Errorf("the duration %q is longer than 100 years", text)
	}
	return days + d, nil
}

// FormatDuration writes d as ParseDuration reads it: "24h", not "24h0m0s".
func FormatDuration(d time.Duration) string {
	switch d {
	case kind.Forever:
		return "forever"
	case kind.Heuristic:
		return "guessed"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// CheckListen says whether addr is host:port, with a number for the port and
// any of a name, an IP address or nothing for the host.
func CheckListen(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port: write 127.0.0.1:8080 or [::1]:8080, or :8080 for every address", addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("the port of %q is not a number from 0 to 65535", addr)
	}
	if host != "" && !IsHost(host) {
		return fmt.Errorf("the host of %q is neither a name nor an IP address", addr)
	}
	return nil
}

// IsLoopback says whether only this machine reaches addr, a host:port.
func IsLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// IsHost says whether host is a DNS name (in ASCII, no trailing dot) or an IP
// address without brackets.
func IsHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || len(host) <= 253 && hostName.MatchString(host)
}

// ParseHost reads an entry of hosts: a Host name without scheme or port.
func ParseHost(text string) (string, error) {
	host := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), ".")
	if !IsHost(host) {
		return "", fmt.Errorf("%q is not a host name: write registry.example, without scheme, port or path", text)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), nil // as requests are compared with it
	}
	return strings.ToLower(host), nil
}

// ParseBase reads the base URL of a master or of the edge itself: http or
// https, a host, an optional path. A trailing slash is dropped.
func ParseBase(text string) (*url.URL, error) {
	const want = "write an absolute URL such as https://registry.example"
	u, err := url.Parse(text)
	if err != nil {
		// The error repeats the text, and that may contain a password.
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err
		}
		if strings.Contains(text, "@") {
			return nil, errors.New("is not a URL: " + want)
		}
		return nil, fmt.Errorf("is not a URL (%w): %s", err, want)
	}
	port := u.Port()
	number, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case u.User != nil:
		return nil, errors.New("holds a user name or password: remove what stands before the @")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("does not begin with http:// or https://: %s", want)
	case u.Hostname() == "":
		return nil, fmt.Errorf("names no host: %s", want)
	case !IsHost(u.Hostname()):
		return nil, fmt.Errorf("the host %q is neither a name nor an IP address", u.Hostname())
	case port != "" && (portErr != nil || number == 0) || strings.HasSuffix(u.Host, ":"):
		return nil, errors.New("the port is not a number from 1 to 65535")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("has a query: remove what follows the ?")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("has a fragment: remove what follows the #")
	}
	u.Host = strings.ToLower(u.Host)
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.RawPath = strings.TrimSuffix(u.RawPath, "/")
	if u.Path == "/" || u.Path != "" && u.Path != path.Clean(u.Path) {
		return nil, errors.New(`the path has "//", "." or ".." in it: write it out`)
	}
	return u, nil
}

// ParsePrefix reads a CIDR, or one address.
func ParsePrefix(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a CIDR: write 10.0.0.0/8, 2001:db8::/32 or one address", text)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its mask: write %s", text, p.Masked())
	}
	return p, nil
}

var sitePath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$`)

// ParseSitePath reads a site's prefix and ends it with a slash.
func ParseSitePath(text string) (string, error) {
	if !strings.HasPrefix(text, "/") {
		return "", fmt.Errorf("%q does not begin with /: write /%s", text, text)
	}
	if !sitePath.MatchString(text) {
		return "", fmt.Errorf("%q is not a plain path: write / or a prefix such as /registry/", text)
	}
	return strings.TrimSuffix(text, "/") + "/", nil
}

var siteName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// ParseSiteName reads a name that is safe in a URL, a metric and a file name.
func ParseSiteName(text string) (string, error) {
	if !siteName.MatchString(text) {
		return "", fmt.Errorf("%q is not a site name: write up to 63 of a-z, 0-9, \"-\", \"_\" and \".\", a letter or digit first", text)
	}
	return text, nil
}

var bearer = regexp.MustCompile(`^[!-~]*$`)

// ParseToken reads a bearer token, which may be empty.
func ParseToken(text string) (string, error) {
	if !bearer.MatchString(text) {
		return "", errors.New("has characters that a header cannot carry: use printable ASCII without spaces")
	}
	return text, nil
}

func ParseRate(text string) (float64, error) {
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(rate) || math.IsInf(rate, 0) {
		return 0, fmt.Errorf("%q is not a number per second: write 50, or 0 for no limit", text)
	}
	if rate < 0 {
		return 0, fmt.Errorf("the rate %q is below zero: write 0 for no limit", text)
	}
	return rate, nil
}

// ParseBound reads how many there may be at a time. 0 is the default.
func ParseBound(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a whole number of at least 0, which is the default", text)
	}
	return int(n), nil
}

func ParseBurst(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	if n < 0 {
		return 0, fmt.Errorf("the burst %q is below zero", text)
	}
	return int(n), nil
}
