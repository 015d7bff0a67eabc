package config

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// config reads a configuration from the text of a file, on top of the
// defaults. It touches nothing but the text and the environment. It returns nil
// when the text is not a YAML document.
func (d *decoder) config(text []byte) *Config {
	d.lines = map[string]int{}
	cfg := Default(d.kinds)
	root, ok := d.document(text)
	if !ok {
		return nil
	}
	cfg.PublicURL = nil
	root.object(fields{
		"listen":     into(&cfg.Listen, parseListen),
		"public_url": into(&cfg.PublicURL, ParseBase),
		"admin":      func(v value) { v.admin(&cfg.Admin) },
		"cache":      func(v value) { v.cache(&cfg.Cache) },
		"sites":      func(v value) { v.sites(&cfg.Sites) },
		"limits":     func(v value) { v.limits(&cfg.Limits) },
		"tls":        func(v value) { v.tls(&cfg.TLS) },
		"log":        func(v value) { v.log(&cfg.Log) },
	})
	d.listeners(cfg)
	return cfg
}

// parseListen reads host:port, or nothing for no listener.
func parseListen(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return text, checkListen(text)
}

// listeners checks what the listeners and the public URL say together.
func (d *decoder) listeners(cfg *Config) {
	if cfg.Listen == "" && cfg.TLS.Listen == "" {
		d.bad("listen", "is empty, and so is tls.listen: nothing would be served; give one of them an address")
	}
	taken := map[string]string{}
	for _, l := range []struct{ key, addr string }{
		{"listen", cfg.Listen}, {"admin.listen", cfg.Admin.Listen}, {"tls.listen", cfg.TLS.Listen},
	} {
		if l.addr == "" || strings.HasSuffix(l.addr, ":0") {
			continue
		}
		if other, ok := taken[l.addr]; ok {
			d.bad(l.key, "%s is already the address of %s: choose another port", l.addr, other)
		}
		taken[l.addr] = l.key
	}
	if cfg.PublicURL == nil && cfg.Listen != "" {
		cfg.PublicURL = followListen(cfg.Listen)
	} else if _, given := d.lines["public_url"]; cfg.PublicURL == nil && !given {
		d.bad("public_url", "is missing, and there is no listen to take it from: write the base of the URLs clients are given")
	}
	for i, s := range cfg.Sites {
		lists := map[string][]Master{".masters": s.Masters, ".files": s.Files}
		for _, scope := range s.Scopes {
			lists[".scopes."+scope.Name+".masters"], lists[".scopes."+scope.Name+".files"] = scope.Masters, scope.Files
		}
		for key, masters := range lists {
			for j, m := range masters {
				if cfg.PublicURL != nil && *m.URL == *cfg.PublicURL {
					d.bad(index(index("sites", i)+key, j)+".url", "is public_url, this edge itself: write the master's own URL")
				}
			}
		}
	}
}

func (v value) admin(a *Admin) {
	before := len(v.d.problems)
	v.object(fields{
		"listen": into(&a.Listen, parseListen),
		"token": func(v value) {
			text, ok := v.secret()
			if !ok {
				return
			}
			if token, err := parseToken(text); err != nil {
				v.bad("%v", err)
			} else {
				a.Token = token
			}
		},
	})
	if len(v.d.problems) == before && a.Listen != "" && !isLoopback(a.Listen) && a.Token == "" {
		v.d.bad(v.path+".listen", "%s is open to others and there is no token: set admin.token, or listen on 127.0.0.1", a.Listen)
	}
}

func (v value) cache(c *CacheConfig) {
	before := len(v.d.problems)
	v.object(fields{
		"memory":       into(&c.Memory, parseRoom),
		"disk":         into(&c.Disk, parseRoom),
		"dir":          into(&c.Dir, parseFile),
		"max_object":   into(&c.MaxObject, parseRoom),
		"max_metadata": into(&c.MaxMetadata, parseRoom),
	})
	if _, given := v.d.lines[v.path+".max_object"]; !given {
		c.MaxObject = min(c.MaxObject, c.Disk)
	} else if len(v.d.problems) == before && c.MaxObject > c.Disk {
		v.d.bad(v.path+".max_object", "%s is more than cache.disk (%s): such a file could never be kept", formatSize(c.MaxObject), formatSize(c.Disk))
	}
}

// parseRoom reads a size above zero.
func parseRoom(text string) (int64, error) {
	n, err := parseSize(text)
	if err == nil && n == 0 {
		err = errors.New("must be above zero: write a size such as 256MiB")
	}
	return n, err
}

func parseFile(text string) (string, error) {
	if text == "" || strings.ContainsRune(text, 0) {
		return "", errors.New("names no file or directory: write a path")
	}
	return text, nil
}

func (v value) limits(l *Limits) {
	v.object(fields{
		"rate":            into(&l.Rate, parseRate),
		"burst":           into(&l.Burst, parseBurst),
		"exempt":          all(&l.Exempt, parsePrefix),
		"trusted_proxies": all(&l.TrustedProxies, parsePrefix),
	})
	if l.Rate > 0 && l.Burst == 0 {
		l.Burst = int(min(max(1, math.Ceil(10*l.Rate)), math.MaxInt32))
	}
}

func (v value) tls(t *TLS) {
	optional := func(text string) (string, error) { return text, nil }
	v.object(fields{
		"listen":  into(&t.Listen, parseListen),
		"domains": all(&t.Domains, parseDomain),
		"email":   into(&t.Email, optional),
		"ca": into(&t.CA, func(text string) (string, error) {
			if text == "" {
				return "", nil
			}
			return parseDirectory(text)
		}),
		"certificate": func(v value) {
			v.object(fields{"cert": into(&t.Cert, optional), "key": into(&t.Key, optional)})
			if t.Cert != "" && t.Key == "" {
				v.d.bad(v.path+".key", "is missing: a certificate needs its private key")
			}
			if t.Key != "" && t.Cert == "" {
				v.d.bad(v.path+".cert", "is missing: a private key needs its certificate")
			}
		},
	})
	pair := t.Cert != "" || t.Key != ""
	switch {
	case pair && len(t.Domains) > 0:
		v.d.bad(v.path+".certificate", "there are tls.domains too: keep the static pair or the domains, not both")
	case t.Listen == "" && (pair || len(t.Domains) > 0):
		v.d.bad(v.path+".listen", "is empty, so no certificate would be used: write an address such as :443")
	case t.Listen != "" && !pair && len(t.Domains) == 0 && v.d.lines[v.path+".domains[0]"] == 0:
		v.d.bad(v.path+".listen", "there is no certificate to serve: set tls.domains or tls.certificate")
	}
}

func (v value) log(l *Log) {
	v.object(fields{
		"level": func(v value) {
			if word, ok := v.oneOf("debug", "info", "warn", "error"); ok {
				_ = l.Level.UnmarshalText([]byte(word)) // slog knows these four words
			}
		},
		"access": func(v value) {
			if word, ok := v.oneOf(string(AccessJSON), string(AccessCommon), string(AccessOff)); ok {
				l.Access = Access(word)
			}
		},
	})
}

// checkFiles tries the directory and the files that cfg names.
func (d *decoder) checkFiles(cfg *Config) {
	if err := tryDir(cfg.Cache.Dir); err != nil {
		d.bad("cache.dir", "%s: %v; choose a directory that this user may write", cfg.Cache.Dir, err)
	}
	t := cfg.TLS
	if t.Cert == "" || t.Key == "" {
		return
	}
	readable := true
	for _, f := range []struct{ key, name string }{{"cert", t.Cert}, {"key", t.Key}} {
		if _, err := readLimited(f.name); err != nil {
			d.bad("tls.certificate."+f.key, "%s: %v", f.name, err)
			readable = false
		}
	}
	if !readable {
		return
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		d.bad("tls.certificate", "%s and %s are not a pair: %v", t.Cert, t.Key, err)
	}
}

// tryDir says whether files can be made in dir, or in the nearest directory
// above where dir could be made. It leaves nothing behind.
func tryDir(dir string) error {
	entries, err := os.Open(dir)
	if err == nil {
		entries.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return cannot("read it", err)
	}
	for {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return cannot("use it", err)
		}
		if !info.IsDir() {
			return errors.New(dir + " is not a directory")
		}
		probe, err := os.MkdirTemp(dir, ".edge-check-")
		if err != nil {
			return cannot("write to "+dir, err)
		}
		return os.Remove(probe)
	}
}
