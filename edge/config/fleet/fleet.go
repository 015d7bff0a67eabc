package fleet

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pkgedge/edge/config/node"
	"pkgedge/edge/config/value"
	edgetls "pkgedge/tls"
)

// Config makes this edge one of many. The zero value is an edge alone.
type Config struct {
	NATS    []string // URLs of the servers, which may hold a password; empty for none
	Creds   string   // file by which the servers know this edge; "" for none
	TLS     TLS
	Name    string        // of this edge; no other one of the fleet has it
	Pop     string        // edges of one pop share their fetches
	Listen  string        // host:port where siblings ask; "" for nowhere
	Token   string        // that siblings show each other; "" for none. A secret
	Seal    string        // that seals the certificates of all edges at the NATS servers; "" for each its own. A secret
	Peers   []string      // host:port of each, or one dns+srv:// URL; empty for those that are heard over NATS
	Unheard time.Duration // after so long without the log all is validated before use; 0 is never
	Store   Store
}

// TLS is the certificate that an edge shows to siblings and servers, and the authority
// that theirs are of. The three are files.
type TLS struct {
	Cert string // set together with Key
	Key  string
	CA   string // "" for the system's
}

// Store is a bucket that all edges share. It is off when URL is "".
type Store struct {
	URL      string // s3://bucket/prefix
	Endpoint string // URL of the server; "" for the usual one
	Region   string
	Key      string
	Secret   string // a secret
}

// Enabled reports whether anything runs for the fleet.
func (f *Config) Enabled() bool { return len(f.NATS) > 0 || f.Listen != "" || f.Store.URL != "" }

// SRV is the name of the DNS service whose targets are the siblings, "" for a list or none.
func (f *Config) SRV() string {
	if len(f.Peers) != 1 {
		return ""
	}
	name, _ := strings.CutPrefix(f.Peers[0], srvScheme)
	if name == f.Peers[0] {
		return ""
	}
	return name
}

const srvScheme = "dns+srv://"

// Read reads the fleet key.
func Read(d *node.Reader, v node.Value, f *Config) {
	before := d.Count()
	v.Object(node.Fields{
		"nats":  node.All(&f.NATS, parseNATS),
		"creds": node.Into(&f.Creds, value.AsWritten),
		"tls": func(v node.Value) {
			v.Object(node.Fields{"cert": node.Into(&f.TLS.Cert, value.AsWritten), "key": node.Into(&f.TLS.Key, value.AsWritten), "ca": node.Into(&f.TLS.CA, value.AsWritten)})
		},
		"name":    node.Into(&f.Name, parseFleetName),
		"pop":     node.Into(&f.Pop, parseFleetName),
		"listen":  node.Into(&f.Listen, value.ParseListen),
		"token":   node.Secret(&f.Token, value.ParseToken),
		"seal":    node.Secret(&f.Seal, parseSeal),
		"peers":   node.All(&f.Peers, parsePeer),
		"unheard": node.Into(&f.Unheard, value.ParseDuration),
		"store": func(v node.Value) {
			s := &f.Store
			v.Object(node.Fields{
				"url": node.Into(&s.URL, parseBucket), "endpoint": node.Into(&s.Endpoint, parseEndpoint), "region": node.Into(&s.Region, value.AsWritten),
				"key": node.Secret(&s.Key, value.AsWritten), "secret": node.Secret(&s.Secret, value.AsWritten),
			})
		},
	})
	if d.Count() == before {
		check(d, v.Path, f)
	}
}

// check compares the keys of a fleet with each other.
func check(d *node.Reader, path string, f *Config) {
	bad := func(key, format string, args ...any) { d.Bad(path+"."+key, format, args...) }
	mutual := f.TLS.Cert != "" && f.TLS.CA != ""
	for _, c := range []struct {
		wrong     bool
		key, text string
	}{
		{!f.Enabled() && (f.Name != "" || f.Pop != "" || len(f.Peers) > 0 || f.Unheard > 0), "nats", "is empty, and so are listen and store.url: this edge would be alone; list the NATS servers, or remove fleet"},
		{f.Enabled() && f.Name == "", "name", "is missing: give this edge a name that no other edge of the fleet has, such as pop1-a"},
		{f.Listen != "" && f.Token == "" && !mutual, "listen", "is open to anybody: set fleet.token, or cert, key and ca of fleet.tls"},
		{f.Listen != "" && len(f.Peers) == 0 && len(f.NATS) == 0, "peers", "is empty, and there is no fleet.nats to hear of siblings: list the siblings, or write dns+srv:// and a name"},
		{f.Listen != "" && f.Pop == "", "pop", "is missing: name the place whose edges share fetches, such as pop1"},
		{f.Enabled() && f.Listen == "" && len(f.Peers) > 0, "listen", "is empty, and there are peers: this edge would ask them and answer none; write an address such as :8443"},
		{len(f.Peers) > 1 && slices.ContainsFunc(f.Peers, func(p string) bool { return strings.HasPrefix(p, srvScheme) }), "peers", "has a " + srvScheme + " name among others: keep it alone, or list addresses"},
		{f.TLS.Cert != "" && f.TLS.Key == "", "tls.key", "is missing: a certificate needs its private key"},
		{f.TLS.Key != "" && f.TLS.Cert == "", "tls.cert", "is missing: a private key needs its certificate"},
		{f.Creds != "" && len(f.NATS) == 0, "creds", "is for NATS servers, and fleet.nats is empty: list them, or remove it"},
		{f.Unheard > 0 && f.Enabled() && len(f.NATS) == 0, "unheard", "is about the log of purges, and fleet.nats is empty: list the servers, or remove it"},
		{f.Seal != "" && len(f.NATS) == 0, "seal", "seals certificates at NATS servers, and fleet.nats is empty: list them, or remove it"},
		{f.Store.URL == "" && (f.Store.Endpoint != "" || f.Store.Region != ""), "store.url", "is missing: write s3:// and the bucket's name"},
		{f.Store.URL != "" && (f.Store.Key == "") != (f.Store.Secret == ""), "store", "has only one of key and secret: set both, or none"},
	} {
		if c.wrong {
			bad(c.key, "%s", c.text)
		}
	}
}

// CheckFiles tries the files that a fleet names.
func CheckFiles(d *node.Reader, f *Config) {
	if f.Creds != "" {
		if _, err := value.ReadFile(f.Creds); err != nil {
			d.Bad("fleet.creds", "%s: %v; name the file that the operator of the NATS servers made for this edge", f.Creds, err)
		}
	}
	if f.TLS.Cert != "" && f.TLS.Key != "" {
		if _, err := tls.LoadX509KeyPair(f.TLS.Cert, f.TLS.Key); err != nil {
			if pe := (*os.PathError)(nil); errors.As(err, &pe) {
				err = fmt.Errorf("%s: %w", pe.Path, pe.Err)
			}
			d.Bad("fleet.tls", "%v; name the PEM files of a certificate and of its private key", err)
		}
	}
	if f.TLS.CA != "" {
		if _, err := edgetls.Roots(f.TLS.CA); err != nil {
			d.Bad("fleet.tls.ca", "%s: %v; name a PEM file with the certificates that the others' are signed by", f.TLS.CA, err)
		}
	}
}

// parseNATS reads the URL of a NATS server. Its errors repeat nothing: it may hold a password.
func parseNATS(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || !value.IsHost(u.Hostname()) || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", errors.New("is not the URL of a NATS server: write nats://host:4222, or tls://host:4222")
	}
	if port := u.Port(); port != "" && !isPort(port) {
		return "", errors.New("has a port that is not a number from 1 to 65535: write nats://host:4222")
	}
	return text, nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

var fleetName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// parseFleetName reads the name of an edge or of a pop, which stands in subjects of messages.
func parseFleetName(text string) (string, error) {
	if text != "" && !fleetName.MatchString(text) {
		return "", fmt.Errorf("%q is not a name: write up to 63 of a-z, 0-9, \"-\", \"_\" and \".\", a letter or digit first", text)
	}
	return text, nil
}

// minSeal is the length of a secret that nobody guesses, in characters.
const minSeal = 32

// parseSeal reads the secret that seals certificates. Its error repeats nothing.
func parseSeal(text string) (string, error) {
	if text != "" && len(text) < minSeal {
		return "", fmt.Errorf("is shorter than %d characters: make it by openssl rand -base64 32", minSeal)
	}
	return text, nil
}

// parsePeer reads the address of a sibling, or the name of a DNS service.
func parsePeer(text string) (string, error) {
	if name, ok := strings.CutPrefix(text, srvScheme); ok {
		if !value.IsHost(name) {
			return "", fmt.Errorf("%q is not a name: write %s_edge._tcp.example", name, srvScheme)
		}
		return text, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || !value.IsHost(host) || !isPort(port) {
		return "", fmt.Errorf("%q is not host:port: write 10.0.0.1:8443, or %s and a name", text, srvScheme)
	}
	return text, nil
}

// parseBucket reads a bucket and a prefix for the names in it.
func parseBucket(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("is not a bucket: write s3://bucket, or s3://bucket/prefix")
	}
	return strings.TrimSuffix(text, "/"), nil
}

// parseEndpoint reads the URL of a store's server.
func parseEndpoint(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := value.ParseBase(text)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// String describes the fleet without its secrets.
func (f Config) String() string {
	text := f.Name
	if f.Pop != "" {
		text += " of " + f.Pop
	}
	if len(f.NATS) > 0 {
		hosts := make([]string, len(f.NATS))
		for i, s := range f.NATS {
			if u, err := url.Parse(s); err == nil {
				hosts[i] = u.Host
			}
		}
		text += ", log of purges at " + strings.Join(hosts, ", ")
	}
	if f.Seal != "" {
		text += ", certificates there too"
	}
	if f.Unheard > 0 {
		text += ", all validated after " + value.FormatDuration(f.Unheard) + " without it"
	}
	if f.Listen != "" {
		from := "those heard over NATS"
		if len(f.Peers) > 0 {
			from = strings.Join(f.Peers, ", ")
		}
		text += ", siblings ask at " + f.Listen + " and are " + from
	}
	if f.Store.URL != "" {
		text += ", store " + f.Store.URL
	}
	return text
}
