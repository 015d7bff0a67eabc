package config

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/config/node"
	"pkgedge/edge/edgetest"
	"pkgedge/origin/kind"
	"pkgedge/origin/kinds"
)

// allKinds are the kinds that the tests' configurations name.
var allKinds = kinds.All()

// decodeText reads text as config.yaml, without touching other files.
func decodeText(text string, env func(string) (string, bool)) (*Config, node.Problems) {
	d := newDecoder("config.yaml", allKinds, env)
	cfg := d.config([]byte(text))
	return cfg, d.Problems()
}

func shipped(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestShippedFileIsTheDefault(t *testing.T) {
	path := shipped(t)
	t.Chdir(t.TempDir())
	cfg, err := Load(path, allKinds, edgetest.NoEnv)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(cfg, Default(allKinds)) {
		t.Errorf("the shipped file gives\n%+v\nand the default is\n%+v", cfg, Default(allKinds))
	}
	if w := cfg.Warnings(); len(w) > 0 {
		t.Errorf("warnings about the shipped file: %q", w)
	}
	built, err := Load("", allKinds, edgetest.NoEnv)
	if err != nil || !reflect.DeepEqual(built, Default(allKinds)) {
		t.Errorf("Load of no file = %+v, %v; want the default", built, err)
	}
	if left, _ := os.ReadDir("."); len(left) > 0 {
		t.Errorf("Load left %v behind", left)
	}
}

func TestShippedFileShowsEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := newDecoder("", allKinds, edgetest.NoEnv)
	d.config(text)
	for _, key := range strings.Fields(`listen public_url contact admin.listen admin.token
		cache.memory cache.disk cache.dir cache.max_object cache.max_metadata
		sites[0].name sites[0].kind sites[0].path sites[0].hosts sites[0].masters sites[0].files
		sites[0].probe.path sites[0].probe.every sites[0].probe.timeout sites[0].probe.fall sites[0].probe.rise
		sites[0].timeouts.connect sites[0].timeouts.first_byte sites[0].timeouts.idle sites[0].timeouts.write
		sites[0].fresh.metadata sites[0].fresh.files sites[0].fresh.missing sites[0].fresh.clients sites[0].fresh.override
		sites[0].stale.while_revalidate sites[0].stale.patience sites[0].stale.if_error sites[0].abbreviated.time
		sites[0].minimum_age.for sites[0].minimum_age.exempt
		limits.rate limits.burst limits.exempt limits.trusted_proxies
		tls.listen tls.domains tls.email tls.ca tls.certificate.cert tls.certificate.key tls.redirect tls.hsts
		fast_lane log.level log.access`) {
		if !d.Given(key) {
			t.Errorf("config.yaml does not show %s", key)
		}
	}
}

func TestEveryValueIsRead(t *testing.T) {
	cfg := mustDecode(t, `
listen: 10.0.0.1:80
public_url: https://Npm.Example/base/
admin: { listen: "0.0.0.0:9", token: s3cret }
cache: { memory: 1GB, disk: 20GiB, dir: /var/cache, max_object: 3GiB, max_metadata: 4096 }
sites:
  - name: main
    kind: npm
    path: /registry
    hosts: [NPM.example, "[2001:db8::1]"]
    masters:
      - { url: "http://b.example:4873/", role: replica }
      - { url: "https://A.example/api/npm/", role: primary }
      - { url: "https://c.example", role: spare }
    files:
      - { url: "https://f.example/", role: primary }
    probe: { path: "/-/ping?x=1", every: 1m, timeout: 3s, fall: 1, rise: 9 }
    timeouts: { connect: 1s, first_byte: 2s, idle: 1m30s, write: 1h }
    fresh: { metadata: 0, files: 30d, missing: 1d12h, clients: 0s, override: true }
    stale: { while_revalidate: 1h, patience: 2s, if_error: 7d }
    abbreviated: { time: true }
  - { name: tree, kind: files, path: /, masters: [{ url: "https://t.example", role: primary }] }
limits: { rate: 2.5, burst: 7, exempt: [10.0.0.0/8, "2001:db8::1"], trusted_proxies: [192.0.2.1], proxy_protocol: require, concurrent: { connections: 1000, client_connections: 100, requests: 500, client_requests: 50, client_heads: 5, client_bodies: 6, client_misses: 7 }, fields: true }
tls: { listen: ":443", domains: [Npm.example], on_demand: [B.example], challenge: http-01, profile: shortlived, email: a@b.example, ca: "https://ca.example/directory", ca_root: ca.pem, redirect: always, hsts: 365d }
drain: { delay: 10s, limit: 2m }
fast_lane: false
log: { level: debug, access: common }
`)
	site := cfg.Sites[0]
	got := []any{
		cfg.Listen, cfg.PublicURL.String(), cfg.Admin, cfg.Cache,
		site.Name, site.Path, site.Hosts, site.Timeouts, site.Fresh, site.Stale,
		site.Probe, len(site.Files), site.Files[0].URL.Host, cfg.Sites[1].Probe,
		cfg.Sites[1].Kind.Name, cfg.Sites[1].Stale.IfError, site.Settings, cfg.Sites[1].Settings, cfg.Limits, cfg.TLS, cfg.Drain, cfg.FastLane, cfg.Log,
	}
	want := []any{
		"10.0.0.1:80", "https://npm.example/base", Admin{"0.0.0.0:9", "s3cret"},
		Cache{1e9, 20 << 30, "/var/cache", 3 << 30, 4096},
		"main", "/registry/", []string{"npm.example", "2001:db8::1"},
		Timeouts{time.Second, 2 * time.Second, 90 * time.Second, time.Hour},
		Fresh{0, 720 * time.Hour, 36 * time.Hour, true, 0},
		Stale{WhileRevalidate: time.Hour, Patience: 2 * time.Second, IfError: 168 * time.Hour, Override: true},
		Probe{"/-/ping?x=1", time.Minute, 3 * time.Second, 1, 9}, 1, "f.example", Probe{"", 5 * time.Second, 2 * time.Second, 3, 2},
		"files", kind.Forever, kind.Settings{"abbreviated.time": {"true"}}, kind.Settings(nil),
		Limits{2.5, 7, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")},
			[]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, true, Concurrent{1000, 100, 500, 50, 5, 6, 7}, true},
		TLS{Listen: ":443", Domains: []string{"npm.example"}, OnDemand: []string{"b.example"}, Challenge: ChallengeHTTP, Profile: "shortlived", Email: "a@b.example",
			CA: "https://ca.example/directory", CARoot: "ca.pem", Redirect: RedirectAlways, HSTS: 365 * 24 * time.Hour},
		Drain{10 * time.Second, 2 * time.Minute}, false, Log{slog.LevelDebug, AccessCommon},
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("value %d is %#v; want %#v", i, got[i], want[i])
		}
	}
	var masters []string
	for _, m := range site.Masters {
		masters = append(masters, string(m.Role)+" "+m.URL.String())
	}
	if want := []string{"primary https://a.example/api/npm", "replica http://b.example:4873", "spare https://c.example"}; !slices.Equal(masters, want) {
		t.Errorf("masters are %q; want the primary first: %q", masters, want)
	}
}

func TestDefaultsFillWhatIsLeftOut(t *testing.T) {
	cfg := mustDecode(t, "listen: 127.0.0.1:9999\ncache: { disk: 1GiB }\nlimits: { rate: 0.5 }\n")
	want := Default(allKinds)
	want.Listen = "127.0.0.1:9999"
	want.PublicURL = followListen(want.Listen)
	want.Cache.Disk, want.Cache.MaxObject = 1<<30, 1<<30 // no file larger than the disk
	want.Limits.Rate, want.Limits.Burst = 0.5, 5         // ten seconds of rate
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v; want %+v", cfg, want)
	}
	if cfg.PublicURL.String() != "http://127.0.0.1:9999" {
		t.Errorf("public_url is %s: it does not follow listen", cfg.PublicURL)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	cfg := mustDecode(t, `
sites:
  - &first
    name: a
    path: /a
    timeouts: &patient { connect: 9s, first_byte: 9s, idle: 9s, write: 9s }
    stale: &stale { while_revalidate: 1h, if_error: 2h }
  - <<: *first
    name: b
    path: /b
    stale: { <<: *stale, if_error: 3h }
  - { name: c, path: /c, timeouts: *patient }
`)
	nine := Timeouts{9 * time.Second, 9 * time.Second, 9 * time.Second, 9 * time.Second}
	for i, name := range []string{"a", "b", "c"} {
		if s := cfg.Sites[i]; s.Name != name || s.Path != "/"+name+"/" || s.Timeouts != nine {
			t.Errorf("site %d is %+v", i, s)
		}
	}
	if got, want := cfg.Sites[1].Stale, (Stale{WhileRevalidate: time.Hour, Patience: 500 * time.Millisecond, IfError: 3 * time.Hour, Override: true}); got != want {
		t.Errorf("merged stale is %v; want %v: own keys win", got, want)
	}
}

func TestEnvironment(t *testing.T) {
	env := edgetest.EnvOf(map[string]string{"HOST": "a.example", "EMPTY": "", "MEM": "1GiB", "SET": "true", "EDGE_ADMIN_TOKEN": "t0ken"})
	cfg, mistakes := decodeText(`
public_url: https://${HOST}/x
admin: { token: "${EDGE_ADMIN_TOKEN}" }
cache: { memory: "${MEM}", disk: "${EMPTY:-20GiB}", dir: "./$${HOST}-$HOME" }
sites: [{ name: "${NAME:-npm}", fresh: { override: "${SET}" } }]
`, env)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	got := []any{cfg.PublicURL.String(), cfg.Admin.Token, cfg.Cache.Memory, cfg.Cache.Disk, cfg.Cache.Dir, cfg.Sites[0].Name, cfg.Sites[0].Fresh.Override}
	want := []any{"https://a.example/x", "t0ken", int64(1 << 30), int64(20 << 30), "./${HOST}-$HOME", "npm", true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}

	cfg, mistakes = decodeText("admin: { token: \"${EDGE_ADMIN_TOKEN}\" }\n", edgetest.NoEnv)
	if len(mistakes) > 0 || cfg.Admin.Token != "" {
		t.Errorf("an unset token gives %q and %v; want no token and no mistake", cfg.Admin.Token, mistakes)
	}
}

func TestVariablesStandInForKeysThatTheFileDoesNotSet(t *testing.T) {
	env := edgetest.EnvOf(map[string]string{"EDGE_ADMIN_TOKEN": "t0ken", "EDGE_PUBLIC_URL": "https://n.example/x/"})
	for _, tt := range []struct{ text, token, public string }{
		{"listen: :8080\nadmin: { listen: ':8081' }\n", "t0ken", "https://n.example/x"},
		{"listen: ''\ntls: { listen: ':443', domains: [n.example], email: a@n.example }\n", "t0ken", "https://n.example/x"},
		{"public_url: https://m.example\nadmin: { token: other }\n", "other", "https://m.example"},
		{"admin: { token: '' }\n", "", "https://n.example/x"},
	} {
		cfg, mistakes := decodeText(tt.text, env)
		if len(mistakes) > 0 || cfg.Admin.Token != tt.token || cfg.PublicURL.String() != tt.public {
			t.Errorf("%q: token %q at %s, %v; want %q at %s", tt.text, cfg.Admin.Token, cfg.PublicURL, mistakes, tt.token, tt.public)
		}
	}
	cfg, err := Load("", allKinds, env)
	if err != nil || cfg.Admin.Token != "t0ken" || cfg.PublicURL.String() != "https://n.example/x" {
		t.Errorf("built in: %+v, %v", cfg, err)
	}

	env = edgetest.EnvOf(map[string]string{"EDGE_ADMIN_TOKEN": "t 0", "EDGE_PUBLIC_URL": "n.example"})
	const want = "admin.token: EDGE_ADMIN_TOKEN, from the environment, has characters"
	if _, err := Load("", allKinds, env); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "public_url: EDGE_PUBLIC_URL, from the environment, does not begin") {
		t.Errorf("built in, with bad variables: %v", err)
	}
	if _, mistakes := decodeText("public_url: https://m.example\nadmin: { token: other }\n", env); len(mistakes) > 0 {
		t.Errorf("variables that stand in for nothing: %v", mistakes)
	}
}

func TestPublic(t *testing.T) {
	for _, tt := range []struct{ public, path, hosts, want string }{
		{"http://127.0.0.1:8080", "/", "[]", "http://127.0.0.1:8080"},
		{"https://n.example/base/", "/registry/", "[]", "https://n.example/base/registry"},
		{"https://n.example", "/", "[a.example, n.example]", "https://n.example"},
		{"https://n.example:8443", "/", "[a.example]", "https://a.example:8443"},
		{"https://n.example", "/", `["::1"]`, "https://[::1]"},
	} {
		cfg := mustDecode(t, "public_url: "+tt.public+"\nsites: [{ name: s, path: "+tt.path+", hosts: "+tt.hosts+" }]\n")
		if got := cfg.Public(&cfg.Sites[0]).String(); got != tt.want {
			t.Errorf("public_url %s, path %s, hosts %s: %s; want %s", tt.public, tt.path, tt.hosts, got, tt.want)
		}
	}
}

func TestPublicURLFollowsListenUnlessSet(t *testing.T) {
	for _, tt := range []struct{ text, listen, want string }{
		{"", "127.0.0.1:9", "http://127.0.0.1:9"},
		{"public_url: http://127.0.0.1:8080\n", "[::1]:9", "http://[::1]:9"},
		{"public_url: https://n.example\n", "127.0.0.1:9", "https://n.example"},
		{"", ":9", "http://127.0.0.1:9"},
		{"", "[::]:80", "http://127.0.0.1"},
		{"", "localhost:9", "http://localhost:9"},
	} {
		cfg := mustDecode(t, tt.text+"log: { level: info }\n")
		if err := cfg.SetListen(tt.listen); err != nil {
			t.Fatal(err)
		}
		if got := cfg.PublicURL.String(); got != tt.want || cfg.Listen != tt.listen {
			t.Errorf("%q, then --listen %s: %s; want %s", tt.text, tt.listen, got, tt.want)
		}
	}
	cfg := Default(allKinds)
	if err := cfg.SetListen("nonsense"); err == nil || cfg.Listen != Default(allKinds).Listen {
		t.Errorf("a bad address: %v, and listen is now %s", err, cfg.Listen)
	}
}

func TestWarnings(t *testing.T) {
	cfg := mustDecode(t, "listen: :8080\ntls: { listen: \":443\", domains: [a.example] }\n")
	w := cfg.Warnings()
	if len(w) != 2 || !strings.HasPrefix(w[0], "public_url: ") || !strings.HasPrefix(w[1], "tls.email: ") {
		t.Errorf("warnings are %q", w)
	}
}

// A certificate that ends soon is told by check, static or not, and so is a name of
// public_url for which none is obtained.
func TestWarningsOfCertificates(t *testing.T) {
	dir := t.TempDir()
	soon := time.Now().Add(10*24*time.Hour + time.Hour)
	cert, key := edgetest.MakePairOf(t, dir, "a", func(c *x509.Certificate) { c.NotAfter = soon })
	path := filepath.Join(dir, "config.yaml")
	check := func(text string) (printed, warnings string) {
		t.Helper()
		edgetest.WriteFile(t, path, text)
		cfg, err := Load(path, allKinds, edgetest.NoEnv)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := cfg.Print(&out); err != nil {
			t.Fatal(err)
		}
		return out.String(), strings.Join(cfg.Warnings(), "\n")
	}
	const state = "127.0.0.1 expires in 10 days, on "
	printed, warnings := check("tls: { listen: ':443', certificate: { cert: " + cert + ", key: " + key + " } }\n")
	if !strings.Contains(printed, "\n            "+state) || !strings.Contains(warnings, "tls: the certificate for "+state) {
		t.Errorf("static: printed\n%s\nwarnings\n%s", printed, warnings)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "cache", "certificates", "certificates", "ca.example-dir", "a.example", "a.example.crt")
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		t.Fatal(err)
	}
	edgetest.WriteFile(t, kept, string(text))
	printed, warnings = check("public_url: https://c.example\ncache: { dir: " + dir + "/cache }\n" +
		"tls: { listen: ':443', domains: [a.example, b.example], ca: 'https://ca.example/dir', email: a@a.example }\n")
	if !strings.Contains(printed, "\n            "+state) || !strings.Contains(printed, "b.example has not been obtained yet") {
		t.Errorf("ACME: printed\n%s", printed)
	}
	if !strings.Contains(warnings, "tls: the certificate for "+state) || !strings.Contains(warnings, "tls.domains: does not list c.example, which") || strings.Contains(warnings, "b.example") {
		t.Errorf("ACME: warnings\n%s", warnings)
	}
}

func TestSetMasters(t *testing.T) {
	cfg := mustDecode(t, `
sites:
  - { name: tree, kind: files, path: /tree, masters: [{ url: "http://t.example", role: primary }] }
  - { name: npm, masters: [{ url: "http://old.example", role: primary }] }
`)
	if err := cfg.SetMasters(&allKinds[0], []string{"http://a.example/", "http://b.example"}); err != nil {
		t.Fatal(err)
	}
	m := cfg.Sites[1].Masters
	if len(m) != 2 || m[0].URL.String() != "http://a.example" || m[0].Role != RolePrimary || m[1].Role != RoleReplica {
		t.Errorf("masters are %+v", m)
	}
	if got := cfg.Sites[0].Masters[0].URL.Host; got != "t.example" {
		t.Errorf("the files site's master is now %s", got)
	}
	for _, tt := range []struct {
		text, want string
		urls       []string
	}{
		{"sites: [{ name: a }, { name: b, path: /b }]", "several npm sites", []string{"http://a.example"}},
		{"sites: [{ name: a, kind: files, masters: [{ url: \"http://t.example\", role: primary }] }]", "no npm site", []string{"http://a.example"}},
		{"sites: [{ name: a }]", "given twice", []string{"http://a.example", "http://a.example/"}},
		{"sites: [{ name: a }]", `"a.example" does not begin`, []string{"a.example"}},
	} {
		err := mustDecode(t, tt.text+"\n").SetMasters(&allKinds[0], tt.urls)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.text, err, tt.want)
		}
	}
	err := Default(allKinds).SetMasters(&allKinds[0], []string{"http://me:pass%zz@a.example"})
	if err == nil || strings.Contains(err.Error(), "pass") {
		t.Errorf("the error repeats a password: %v", err)
	}
}

func mustDecode(t *testing.T, text string) *Config {
	t.Helper()
	cfg, mistakes := decodeText(text, edgetest.NoEnv)
	if len(mistakes) > 0 {
		t.Fatalf("unexpected mistakes:\n%v", mistakes)
	}
	return cfg
}

func TestMinimumAgeIsADurationOrAMapping(t *testing.T) {
	for text, want := range map[string]MinimumAge{
		"3d": {For: 72 * time.Hour}, "{ for: 3d }": {For: 72 * time.Hour}, "0s": {},
		`{ for: 3d, exempt: ["@acme/*", "lodash@4.17.22"] }`: {72 * time.Hour, []string{"@acme/*", "lodash@4.17.22"}},
	} {
		cfg := mustDecode(t, "sites: [{ name: npm, minimum_age: "+text+" }]")
		if got := cfg.Sites[0].MinimumAge; got.For != want.For || !slices.Equal(got.Exempt, want.Exempt) {
			t.Errorf("%s is %+v; want %+v", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`{ for: 3d, exempt: ["@acme"] }`: `minimum_age.exempt[0]`, `{ exempt: ["n"] }`: "nothing to exempt from", "{ fro: 3d }": "for",
	} {
		if _, problems := decodeText("sites: [{ name: npm, minimum_age: "+text+" }]", edgetest.NoEnv); !strings.Contains(fmt.Sprint(problems), want) {
			t.Errorf("%s: %v; want %s", text, problems, want)
		}
	}
}
