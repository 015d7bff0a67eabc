package config

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"pkgedge/edge/config/fleet"
	"pkgedge/edge/config/node"
	"pkgedge/edge/config/value"
	"pkgedge/origin/kind"
)

// decoder decodes a configuration file. It reads nodes, and no struct with tags,
// because only nodes have lines.
type decoder struct {
	*node.Reader
	env   func(string) (string, bool)
	file  string            // "" for the built-in configuration
	kinds []kind.Descriptor // that a site can be of
}

func newDecoder(file string, kinds []kind.Descriptor, env func(string) (string, bool)) *decoder {
	return &decoder{Reader: node.NewReader(file, env), env: env, file: file, kinds: kinds}
}

// config decodes the text of a file, on top of the defaults. It touches nothing but
// the text and the environment. It returns nil when the text is not a YAML document.
func (d *decoder) config(text []byte) *Config {
	cfg := Default(d.kinds)
	root, ok := d.Document(text)
	if !ok {
		return nil
	}
	cfg.PublicURL = nil
	d.environment(cfg)
	d.object(root, cfg)
	d.misused()
	d.listeners(cfg)
	return cfg
}

// object decodes the keys of the file.
func (d *decoder) object(root node.Value, cfg *Config) {
	root.Object(node.Fields{
		"listen":     node.Into(&cfg.Listen, value.ParseListen),
		"public_url": node.Into(&cfg.PublicURL, value.ParseBase),
		"contact":    node.Into(&cfg.Contact, value.ParseContact),
		"admin":      func(v node.Value) { d.admin(v, &cfg.Admin) },
		"cache":      func(v node.Value) { d.cache(v, &cfg.Cache) },
		"sites":      func(v node.Value) { d.sites(v, &cfg.Sites) },
		"limits":     func(v node.Value) { d.limits(v, &cfg.Limits) },
		"tls":        func(v node.Value) { d.tls(v, &cfg.TLS) },
		"drain": func(v node.Value) {
			v.Object(node.Fields{"delay": node.Into(&cfg.Drain.Delay, value.ParseDuration), "limit": node.Into(&cfg.Drain.Limit, value.ParseDuration)})
		},
		"fast_lane": node.Flag(&cfg.FastLane),
		"fleet":     func(v node.Value) { fleet.Read(d.Reader, v, &cfg.Fleet) },
		"log":       func(v node.Value) { d.log(v, &cfg.Log) },
	})
}

// listeners compares the listeners and the public URL with each other.
func (d *decoder) listeners(cfg *Config) {
	if cfg.Listen == "" && cfg.TLS.Listen == "" {
		d.Bad("listen", "is empty, and so is tls.listen: nothing would be served; give one of them an address")
	}
	if cfg.Listen == "" && cfg.TLS.Challenge == ChallengeHTTP {
		d.Bad("tls.challenge", "http-01 comes to the plain listener, and listen is empty: give that an address to which port 80 leads")
	}
	taken := map[string]string{}
	for _, l := range []struct{ key, addr string }{
		{"listen", cfg.Listen}, {"admin.listen", cfg.Admin.Listen}, {"tls.listen", cfg.TLS.Listen}, {"fleet.listen", cfg.Fleet.Listen},
	} {
		if l.addr == "" || strings.HasSuffix(l.addr, ":0") {
			continue
		}
		if other, ok := taken[l.addr]; ok {
			d.Bad(l.key, "%s is already the address of %s: choose another port", l.addr, other)
		}
		taken[l.addr] = l.key
	}
	if cfg.PublicURL == nil && cfg.Listen != "" {
		cfg.PublicURL = followListen(cfg.Listen)
	} else if cfg.PublicURL == nil && !d.Given("public_url") {
		d.Bad("public_url", "is missing, and there is no listen to take it from: write the base of the URLs clients are given")
	}
	for i, s := range cfg.Sites {
		lists := map[string][]Master{".masters": s.Masters, ".files": s.Files}
		for _, scope := range s.Scopes {
			lists[".scopes."+scope.Name+".masters"], lists[".scopes."+scope.Name+".files"] = scope.Masters, scope.Files
		}
		for key, masters := range lists {
			for j, m := range masters {
				if cfg.PublicURL != nil && *m.URL == *cfg.PublicURL {
					d.Bad(index(index("sites", i)+key, j)+".url", "is public_url, this edge itself: write the master's own URL")
				}
			}
		}
	}
}

func (d *decoder) admin(v node.Value, a *Admin) {
	before := d.Count()
	v.Object(node.Fields{
		"listen": node.Into(&a.Listen, value.ParseListen),
		"token":  node.Secret(&a.Token, value.ParseToken),
	})
	if d.Count() == before && a.Listen != "" && !value.IsLoopback(a.Listen) && a.Token == "" {
		d.Bad(v.Path+".listen", "%s is open to others and there is no token: set admin.token, or listen on 127.0.0.1", a.Listen)
	}
}

func (d *decoder) cache(v node.Value, c *Cache) {
	before := d.Count()
	v.Object(node.Fields{
		"memory":       node.Into(&c.Memory, value.ParseCapacity),
		"disk":         node.Into(&c.Disk, value.ParseCapacity),
		"dir":          node.Into(&c.Dir, value.ParseFile),
		"max_object":   node.Into(&c.MaxObject, value.ParseCapacity),
		"max_metadata": node.Into(&c.MaxMetadata, value.ParseCapacity),
	})
	if !d.Given(v.Path + ".max_object") {
		c.MaxObject = min(c.MaxObject, c.Disk)
	} else if d.Count() == before && c.MaxObject > c.Disk {
		d.Bad(v.Path+".max_object", "%s is more than cache.disk (%s): such a file could never be kept", value.FormatSize(c.MaxObject), value.FormatSize(c.Disk))
	}
}

func (d *decoder) limits(v node.Value, l *Limits) {
	v.Object(node.Fields{
		"rate":            node.Into(&l.Rate, value.ParseRate),
		"burst":           node.Into(&l.Burst, value.ParseBurst),
		"exempt":          node.All(&l.Exempt, value.ParsePrefix),
		"trusted_proxies": node.All(&l.TrustedProxies, value.ParsePrefix),
		"proxy_protocol": func(v node.Value) {
			word, ok := v.OneOf("off", "require")
			l.ProxyProtocol = ok && word == "require"
		},
		"fields": node.Flag(&l.Fields),
		"concurrent": func(v node.Value) {
			c := &l.Concurrent
			v.Object(node.Fields{
				"connections": node.Into(&c.Connections, value.ParseBound), "client_connections": node.Into(&c.ClientConnections, value.ParseBound),
				"requests": node.Into(&c.Requests, value.ParseBound), "client_requests": node.Into(&c.ClientRequests, value.ParseBound),
				"client_heads": node.Into(&c.ClientHeads, value.ParseBound), "client_bodies": node.Into(&c.ClientBodies, value.ParseBound),
				"client_misses": node.Into(&c.ClientMisses, value.ParseBound),
			})
		},
	})
	if l.ProxyProtocol && len(l.TrustedProxies) == 0 {
		d.Bad(v.Path+".proxy_protocol", "is %q, and trusted_proxies is empty: no connection would be taken; list the proxies there", "require")
	}
	if l.Rate > 0 && l.Burst == 0 {
		l.Burst = int(min(max(1, math.Ceil(10*l.Rate)), math.MaxInt32))
	}
}

func (d *decoder) log(v node.Value, l *Log) {
	v.Object(node.Fields{
		"level": func(v node.Value) {
			if word, ok := v.OneOf("debug", "info", "warn", "error"); ok {
				_ = l.Level.UnmarshalText([]byte(word)) // slog knows these four words
			}
		},
		"access": node.Word(&l.Access, AccessJSON, AccessCommon, AccessOff),
	})
}

// checkFiles tries the directory and the files that cfg names.
func (d *decoder) checkFiles(cfg *Config) {
	if err := tryDir(cfg.Cache.Dir); err != nil {
		d.Bad("cache.dir", "%s: %v; choose a directory that this user may write", cfg.Cache.Dir, err)
	}
	d.checkCertificates(cfg)
	fleet.CheckFiles(d.Reader, &cfg.Fleet)
}

// tryDir says whether files can be made in dir, or in the nearest directory
// above where dir could be made. It leaves nothing behind.
func tryDir(dir string) error {
	entries, err := os.Open(dir)
	if err == nil {
		entries.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return value.Cannot("read it", err)
	}
	for {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return value.Cannot("use it", err)
		}
		if !info.IsDir() {
			return errors.New(dir + " is not a directory")
		}
		probe, err := os.MkdirTemp(dir, ".edge-check-")
		if err != nil {
			return value.Cannot("write to "+dir, err)
		}
		return os.Remove(probe)
	}
}
