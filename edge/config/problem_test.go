package config

import (
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/config/node"
	"pkgedge/edge/config/value"
	"pkgedge/edge/edgetest"
)

func TestProblems(t *testing.T) {
	const site = "sites:\n  - name: npm\n"
	const masters = site + "    masters:\n"
	const acme = "{ masters: [{ url: 'http://a.example', role: primary }] }"
	for _, tt := range []struct {
		rule string
		text string
		want string // of the only problem: how it begins, after "config.yaml"
	}{
		{"unknown key with a near one", "log: { level: info }\nchache: {}\n", ":2: chache: unknown key: did you mean cache?"},
		{"unknown key with none near", "cache:\n  colour: red\n", ":2: cache.colour: unknown key: the keys here are dir, disk, max_metadata, max_object, memory"},
		{"unknown key in a site", site + "    path: /\n    hostss: []\n", ":4: sites[0].hostss: unknown key: did you mean hosts?"},
		{"key twice", "listen: :1\nlog: {}\nlisten: :2\n", ":3: listen: is already set on line 1: remove one of them"},
		{"list for a mapping", "cache: [1]\n", ":1: cache: must be a mapping of keys, not a list"},
		{"value for a mapping", "cache: big\n", ":1: cache: must be a mapping of keys, not a single value"},
		{"mapping for a list", "sites: {}\n", ":1: sites: must be a list, not a mapping of keys"},
		{"mapping for a value", "listen: {}\n", ":1: listen: must be a single value, not a mapping of keys"},
		{"list for the file", "- a\n", ": must be a mapping of keys, not a list"},
		{"no value", "cache:\nlog: {}\n", ":1: cache: has no value: give it one, or remove the key"},
		{"null in a list", "sites:\n  -\n", ":2: sites[0]: has no value"},
		{"tag", "listen: !x :80\n", ":1: listen: has the tag !x"},
		{"key that is no word", "? [a]\n: b\n", ": line 1: a key must be a word"},
		{"merge of a value", "log:\n  <<: 1\n", ":2: log: << must name one mapping"},

		{"clients' time", site + "    fresh: { clients: soon }\n", `:3: sites[0].fresh.clients: "soon" is not a duration: write 10s, 5m, 24h or 30d, or "" for`},
		{"clients' time of a static tree", site + "    kind: files\n    masters: [{ url: 'http://a.example', role: primary }]\n    fresh: { clients: 0s }\n", ":5: sites[0].fresh.clients: is about a registry's metadata"},

		{"bad size", "cache:\n  memory: lots\n", `:2: cache.memory: "lots" is not a size: write 256MiB`},
		{"size with a fraction", "cache:\n  memory: 1.5GiB\n", `:2: cache.memory: "1.5GiB" is not a size`},
		{"negative size", "cache:\n  disk: -1GiB\n", `:2: cache.disk: the size "-1GiB" is below zero`},
		{"enormous size", "cache:\n  disk: 9999999999GiB\n", `:2: cache.disk: the size "9999999999GiB" is too large`},
		{"no size", "cache:\n  max_metadata: 0\n", ":2: cache.max_metadata: must be above zero"},
		{"object beyond the disk", "cache:\n  disk: 1GiB\n  max_object: 2GiB\n", ":3: cache.max_object: 2GiB is more than cache.disk (1GiB)"},
		{"empty directory", "cache:\n  dir: ''\n", ":2: cache.dir: names no file or directory"},

		{"listen without a port", "listen: 127.0.0.1\n", `:1: listen: "127.0.0.1" is not host:port`},
		{"listen on a number", "listen: 8080\n", `:1: listen: "8080" is not host:port`},
		{"listen on a great port", "listen: :70000\n", ":1: listen: the port of \":70000\" is not a number"},
		{"listen on a strange host", "listen: 'a b:80'\n", ":1: listen: the host of \"a b:80\" is neither"},
		{"no listener", "listen: ''\npublic_url: http://a.example\n", ":1: listen: is empty, and so is tls.listen"},
		{"no public_url to follow", "listen: ''\ntls: { listen: ':443', domains: [a.example] }\n", ": public_url: is missing"},
		{"one address twice", "listen: 127.0.0.1:1\nadmin:\n  listen: 127.0.0.1:1\n", ":3: admin.listen: 127.0.0.1:1 is already the address of listen"},
		{"open admin without a token", "admin:\n  listen: :8081\n", ":2: admin.listen: :8081 is open to others and there is no token"},
		{"open admin with an unset token", "admin:\n  listen: 192.0.2.1:8081\n  token: ${NONE}\n", ":2: admin.listen: 192.0.2.1:8081 is open to others"},
		{"PROXY protocol of nobody", "limits:\n  proxy_protocol: require\n", ":2: limits.proxy_protocol: is \"require\", and trusted_proxies is empty"},
		{"token with a space", "admin:\n  token: a b\n", ":2: admin.token: has characters that a header cannot carry"},

		{"public_url of another scheme", "public_url: ftp://a.example\n", ":1: public_url: does not begin with http:// or https://"},
		{"public_url with a query", "public_url: http://a.example/?x\n", ":1: public_url: has a query: remove what follows the ?"},
		{"public_url without a scheme", "public_url: a.example:80\n", ":1: public_url: "},

		{"no sites", "sites: []\n", ":1: sites: is empty"},
		{"site without a name", "sites:\n  - path: /\n", ":2: sites[0].name: is missing"},
		{"site with an empty name", "sites:\n  - name: ''\n", `:2: sites[0].name: "" is not a site name`},
		{"site with an odd name", "sites:\n  - name: a/b\n", `:2: sites[0].name: "a/b" is not a site name`},
		{"two sites of one name", site + "  - name: npm\n    path: /x\n", ":3: sites[1].name: \"npm\" is already the name of sites[0]"},
		{"two sites at one path", "sites:\n  - name: a\n    path: /x\n  - name: b\n    path: /x/\n", ":5: sites[1].path: /x/ is already the path of sites[0] on every host"},
		{"two sites at one path of one host", "sites:\n  - { name: a, hosts: [x.example, y.example] }\n  - { name: b, hosts: [Y.example] }\n", ":3: sites[1].path: / is already the path of sites[0] on y.example"},
		{"unknown kind", site + "    kind: nmp\n", `:3: sites[0].kind: "nmp" is not known: did you mean npm?`},
		{"relative path", site + "    path: npm/\n", `:3: sites[0].path: "npm/" does not begin with /: write /npm/`},
		{"path with dots", site + "    path: /a/../b\n", `:3: sites[0].path: "/a/../b" is not a plain path`},
		{"path with an empty part", site + "    path: //a\n", `:3: sites[0].path: "//a" is not a plain path`},
		{"host with a scheme", site + "    hosts:\n      - a.example\n      - http://b.example\n", `:5: sites[0].hosts[1]: "http://b.example" is not a host name`},
		{"host with a port", site + "    hosts: ['a.example:80']\n", `:3: sites[0].hosts[0]: "a.example:80" is not a host name`},

		{"two primaries", masters + "      - { url: 'http://a.example', role: primary }\n      - { url: 'http://b.example', role: primary }\n",
			":5: sites[0].masters[1].role: two primaries; only one master takes the writes: make this one a replica"},
		{"no primary", masters + "      - { url: 'http://a.example', role: replica }\n", ":3: sites[0].masters: no primary"},
		{"master twice", masters + "      - { url: 'http://a.example', role: primary }\n      - { url: 'http://A.example/', role: replica }\n",
			":5: sites[0].masters[1].url: http://a.example is listed twice"},
		{"master without a role", masters + "      - url: http://a.example\n", ":4: sites[0].masters[0].role: is missing"},
		{"master without a URL", masters + "      - role: primary\n", ":4: sites[0].masters[0].url: is missing"},
		{"master of an unknown role", masters + "      - { url: 'http://a.example', role: main }\n", `:4: sites[0].masters[0].role: "main" is not known: write primary or replica`},
		{"master that is a word", masters + "      - http://a.example\n", ":4: sites[0].masters[0]: must be a mapping of keys, not a single value"},
		{"master with a query", masters + "      - { role: primary, url: 'http://a.example/?q=1' }\n", ":4: sites[0].masters[0].url: has a query"},
		{"master with a bare ?", masters + "      - { role: primary, url: 'http://a.example/?' }\n", ":4: sites[0].masters[0].url: has a query"},
		{"master with a fragment", masters + "      - { role: primary, url: 'http://a.example/#x' }\n", ":4: sites[0].masters[0].url: has a fragment"},
		{"master with a password", masters + "      - { role: primary, url: 'http://u:p@a.example/' }\n", ":4: sites[0].masters[0].url: holds a user name or password: remove what stands before the @"},
		{"master of another scheme", masters + "      - { role: primary, url: 'file:///a' }\n", ":4: sites[0].masters[0].url: does not begin with http:// or https://"},
		{"master without a scheme", masters + "      - { role: primary, url: 'a.example/npm' }\n", ":4: sites[0].masters[0].url: does not begin with http:// or https://"},
		{"master without a host", masters + "      - { role: primary, url: 'http:///npm' }\n", ":4: sites[0].masters[0].url: names no host"},
		{"master with a bad port", masters + "      - { role: primary, url: 'http://a.example:99999' }\n", ":4: sites[0].masters[0].url: the port is not a number"},
		{"master with dots in its path", masters + "      - { role: primary, url: 'http://a.example/%2e%2e/x' }\n", ":4: sites[0].masters[0].url: the path has"},
		{"master with an empty part", masters + "      - { role: primary, url: 'http://a.example//' }\n", ":4: sites[0].masters[0].url: the path has"},
		{"master that is the edge", "public_url: http://e.example\n" + masters + "      - { role: primary, url: 'http://e.example/' }\n", ":5: sites[0].masters[0].url: is public_url, this edge itself"},
		{"files without masters", site + "    kind: files\n", ":2: sites[0].masters: is empty: a files site needs a master"},

		{"bad duration", site + "    fresh:\n      metadata: 5\n", `:4: sites[0].fresh.metadata: "5" is not a duration: write 10s, 5m, 24h or 30d`},
		{"negative duration", site + "    fresh:\n      files: -5m\n", `:4: sites[0].fresh.files: the duration "-5m" is below zero`},
		{"negative days", site + "    fresh:\n      files: -5d\n", `:4: sites[0].fresh.files: the duration "-5d" is below zero`},
		{"no wait", site + "    timeouts: { idle: 0s }\n", ":3: sites[0].timeouts.idle: must be above zero"},
		{"forever elsewhere", site + "    stale: { while_revalidate: forever }\n", `:3: sites[0].stale.while_revalidate: "forever" is not a duration`},
		{"if_error of a word", site + "    stale: { if_error: always }\n", `:3: sites[0].stale.if_error: "always" is not a duration: write 10s, 5m, 24h or 30d, or forever`},
		{"override of a word", site + "    fresh: { override: yes }\n", `:3: sites[0].fresh.override: "yes" is not known: write true or false`},

		{"negative rate", "limits:\n  rate: -1\n", `:2: limits.rate: the rate "-1" is below zero`},
		{"rate of a word", "limits:\n  rate: fast\n", `:2: limits.rate: "fast" is not a number per second`},
		{"rate that is no number", "limits:\n  rate: NaN\n", `:2: limits.rate: "NaN" is not a number per second`},
		{"negative burst", "limits:\n  burst: -1\n", `:2: limits.burst: the burst "-1" is below zero`},
		{"fractional burst", "limits:\n  burst: 1.5\n", `:2: limits.burst: "1.5" is not a whole number`},
		{"bad CIDR", "limits:\n  exempt:\n    - 10.0.0.0/8\n    - 10.0.0.0/99\n", `:4: limits.exempt[1]: "10.0.0.0/99" is not a CIDR`},
		{"CIDR beyond its mask", "limits:\n  trusted_proxies: [10.1.0.0/8]\n", `:2: limits.trusted_proxies[0]: "10.1.0.0/8" has bits beyond its mask: write 10.0.0.0/8`},

		{"certificate without its key", "tls:\n  listen: :443\n  certificate:\n    cert: a.pem\n", ":3: tls.certificate.key: is missing"},
		{"key without its certificate", "tls:\n  listen: :443\n  certificate:\n    key: a.pem\n", ":3: tls.certificate.cert: is missing"},
		{"certificate and domains", "tls:\n  listen: :443\n  domains: [a.example]\n  certificate: { cert: a, key: b }\n", ":4: tls.certificate: there are tls.domains too"},
		{"certificate for nobody", "tls:\n  domains: [a.example]\n", ":1: tls.listen: is empty, so no certificate would be used"},
		{"TLS without a certificate", "tls:\n  listen: :443\n", ":2: tls.listen: there is no certificate to serve"},
		{"wildcard domain", "tls:\n  listen: :443\n  domains: ['*.a.example']\n", `:3: tls.domains[0]: a certificate for "*.a.example" needs a DNS challenge`},
		{"domain that is an address", "tls:\n  listen: :443\n  domains: [192.0.2.1]\n", `:3: tls.domains[0]: "192.0.2.1" is not a domain name`},
		{"on demand and from the start", "public_url: https://a.example\ntls:\n  listen: :443\n  domains: [a.example]\n  on_demand: [b.example, A.example]\n", ":5: tls.on_demand[1]: a.example is in tls.domains, too"},
		{"on demand and a pair", "tls:\n  listen: :443\n  on_demand: [a.example]\n  certificate: { cert: a, key: b }\n", ":4: tls.certificate: there are tls.domains too"},
		{"wildcard on demand", "tls:\n  listen: :443\n  on_demand: ['*.a.example']\n", `:3: tls.on_demand[0]: a certificate for "*.a.example" needs a DNS challenge`},
		{"challenge by DNS", "tls:\n  challenge: dns-01\n", ":2: tls.challenge: "},
		{"profile without domains", "tls:\n  profile: shortlived\n", ":1: tls.domains: is empty, and challenge, profile and ca_root are for certificates that are obtained"},
		{"profile in words", "tls:\n  profile: short lived\n", ":2: tls.profile: \"short lived\" is not a name of a profile"},
		{"http-01 without a plain listener", "listen: ''\npublic_url: https://a.example\ntls: { listen: ':443', domains: [a.example], challenge: http-01 }\n", ":3: tls.challenge: http-01 comes to the plain listener"},
		{"ca that is no https", "tls:\n  ca: http://ca.example\n", ":2: tls.ca: is not the https:// URL"},

		{"fleet of nothing", "fleet:\n  name: a\n", ":1: fleet.nats: is empty, and so are listen and store.url"},
		{"edge of a fleet without a name", "fleet:\n  nats: ['nats://a.example:4222']\n", ":1: fleet.name: is missing"},
		{"NATS by another scheme", "fleet:\n  name: a\n  nats:\n    - http://a.example\n", ":4: fleet.nats[0]: is not the URL of a NATS server: write nats://host:4222"},
		{"NATS with a strange port", "fleet:\n  name: a\n  nats: ['nats://a.example:0']\n", ":3: fleet.nats[0]: has a port"},
		{"name of an edge in words", "fleet:\n  name: pop 1\n", `:2: fleet.name: "pop 1" is not a name`},
		{"siblings that anybody may ask", "fleet: { name: a, pop: p, peers: ['b:1'],\n  listen: ':8443' }\n", ":2: fleet.listen: is open to anybody: set fleet.token"},
		{"a short seal", "fleet: { name: a, nats: ['nats://n:4222'], seal: short }\n", ":1: fleet.seal: is shorter than 32 characters: make it by openssl rand -base64 32"},
		{"a seal for nothing", "fleet: { name: a, pop: p, token: t, peers: ['b:1'], listen: ':8443', seal: '0123456789abcdef0123456789abcdef' }\n", ":1: fleet.seal: seals certificates at NATS servers, and fleet.nats is empty"},
		{"siblings of no place", "fleet: { name: a, token: t, peers: ['b:1'], listen: ':8443' }\n", ":1: fleet.pop: is missing"},
		{"siblings unknown", "fleet: { name: a, pop: p, token: t, listen: ':8443' }\n", ":1: fleet.peers: is empty, and there is no fleet.nats"},
		{"peers and no listener", "fleet: { name: a, nats: ['nats://b'], peers: ['b:1'] }\n", ":1: fleet.listen: is empty, and there are peers"},
		{"a peer without a port", "fleet: { name: a, pop: p, token: t, listen: ':8443', peers: [b] }\n", `:1: fleet.peers[0]: "b" is not host:port`},
		{"a service among peers", "fleet: { name: a, pop: p, token: t, listen: ':8443', peers: ['b:1', 'dns+srv://x'] }\n", ":1: fleet.peers: has a dns+srv:// name among others"},
		{"a certificate of the fleet without its key", "fleet:\n  tls: { cert: a }\n", ":2: fleet.tls.key: is missing"},
		{"credentials for no NATS", "fleet:\n  creds: a\n", ":2: fleet.creds: is for NATS servers"},
		{"a store that is no bucket", "fleet:\n  store: { url: 'https://a.example/b' }\n", ":2: fleet.store.url: is not a bucket: write s3://bucket"},
		{"half the credentials of a store", "fleet:\n  name: a\n  store: { url: 's3://b', key: k }\n", ":3: fleet.store: has only one of key and secret"},
		{"a store's server and no bucket", "fleet:\n  store: { region: x }\n", ":2: fleet.store.url: is missing"},
		{"one address for siblings and clients", "listen: :1\nfleet: { name: a, pop: p, token: t, peers: ['b:1'], listen: ':1' }\n", ":2: fleet.listen: :1 is already the address of listen"},

		{"unknown level", "log:\n  level: inof\n", `:2: log.level: "inof" is not known: did you mean info?`},
		{"unknown access", "log:\n  access: apache\n", `:2: log.access: "apache" is not known: write json or common or off`},

		{"unset variable", "cache:\n  dir: /x/${CACHE_HOME}\n", ":2: cache.dir: the environment has no variable CACHE_HOME: set it, or write ${CACHE_HOME:-default}"},
		{"odd variable", "cache:\n  dir: ${a b}\n", ":2: cache.dir: ${a b} is not a variable"},
		{"open variable", "cache:\n  dir: ${A\n", ":2: cache.dir: ${A is not a variable"},

		{"no such kind", site + "    kind: dits\n", `:3: sites[0].kind: `},
		{"spares alone", masters + "      - { url: 'http://b.example', role: spare }\n", ":3: sites[0].masters: no primary"},
		{"files without a primary", site + "    files:\n      - { url: 'http://a.example', role: replica }\n", ":3: sites[0].files: no primary"},
		{"files that are the edge", "public_url: http://e.example\n" + site + "    files:\n      - { url: 'http://e.example', role: primary }\n", ":5: sites[0].files[0].url: is public_url, this edge itself"},
		{"probe of another host", site + "    probe: { path: 'https://a.example/x' }\n", `:3: sites[0].probe.path: "https://a.example/x" is not a path below the masters' URLs`},
		{"probe of a bare word", site + "    probe: { path: ping }\n", `:3: sites[0].probe.path: "ping" is not a path`},
		{"no time between probes", site + "    probe: { every: 0s }\n", ":3: sites[0].probe.every: must be above zero"},
		{"no probe to fall", site + "    probe: { fall: 0 }\n", `:3: sites[0].probe.fall: "0" is not a number of probes: write 1 or more`},
		{"a word for rise", site + "    probe: { rise: two }\n", `:3: sites[0].probe.rise: "two" is not a number of probes`},
		{"a feed that is no URL", site + "    changes: { url: registry.example }\n", ":3: sites[0].changes.url: does not begin with http:// or https://"},
		{"a feed with a password", site + "    changes: { url: 'https://u:p@a.example' }\n", ":3: sites[0].changes.url: holds a user name or password"},
		{"a mode of feed that is none", site + "    changes: { url: 'https://a.example', mode: cuoch }\n", `:3: sites[0].changes.mode: "cuoch" is not known: did you mean couch?`},
		{"an unknown key of changes", site + "    changes: { token: x }\n", ":3: sites[0].changes.token: unknown key"},
		{"changes of files", site + "    kind: files\n    masters: [{ url: 'http://a.example', role: primary }]\n    changes: { url: 'https://a.example' }\n", ":5: sites[0].changes: names packages, which a files site has none of: remove the key"},
		{"scope without masters", site + "    scopes: { '@a': {} }\n", ":3: sites[0].scopes.@a.masters: is missing: a scope has masters of its own"},
		{"scope that is none", site + "    scopes: { a: " + acme + " }\n", `:3: sites[0].scopes.a: "a" is not a scope: write "@acme", in quotes`},
		{"scope in two spellings", site + "    scopes: { '@a': " + acme + ", '@A': " + acme + " }\n", ":3: sites[0].scopes.@A: @a is there twice"},
		{"scopes for files", site + "    kind: files\n    masters: [{ url: 'http://a.example', role: primary }]\n    scopes: { '@a': " + acme + " }\n", ":5: sites[0].scopes: belongs to npm's names"},
		{"two scopes that answer logins", site + "    scopes:\n      '@a': { login: true, masters: [{ url: 'http://a.example', role: primary }] }\n      '@b': { login: true, masters: [{ url: 'http://b.example', role: primary }] }\n", ":5: sites[0].scopes.@b.login: @a answers logins already"},
		{"list of scopes", site + "    scopes: ['@a']\n", ":3: sites[0].scopes: must be a mapping of scopes"},
		{"scope whose master is the edge", "public_url: http://e.example\n" + site + "    scopes: { '@a': { masters: [{ url: 'http://e.example', role: primary }] } }\n", ":4: sites[0].scopes.@a.masters[0].url: is public_url, this edge itself"},
		{"unknown way to treat credentials", site + "    authorized: share\n", `:3: sites[0].authorized: "share" is not known`},
		{"credentials for files", site + "    kind: files\n    masters: [{ url: 'http://a.example', role: primary }]\n    authorized: cache\n", ":5: sites[0].authorized: is not for a files site"},
		{"two credentials at once", site + "    credentials: s3cret\n    authorized: cache\n", ":4: sites[0].authorized: cache needs the client's credential, and credentials replaces it"},
		{"empty credentials", site + "    credentials: ''\n", ":3: sites[0].credentials: is empty"},
		{"deny nothing", site + "    deny: ['a b']\n", `:3: sites[0].deny[0]: "a b" names nothing to deny: write a package "name"`},
		{"deny for files", site + "    kind: files\n    masters: [{ url: 'http://a.example', role: primary }]\n    deny: [a]\n", ":5: sites[0].deny: knows packages and versions, which a files site has none of"},
		{"times for files", site + "    kind: files\n    masters: [{ url: 'http://a.example', role: primary }]\n    abbreviated: { time: true }\n", ":5: sites[0].abbreviated: is about npm's packuments, which a files site has none of"},
		{"times of another word", site + "    abbreviated: { time: perhaps }\n", `:3: sites[0].abbreviated.time: "perhaps" is not known`},
		{"a release age that is none", site + "    minimum_age: soon\n", ":3: sites[0].minimum_age: "},

		{"empty file", "", ":1: the file is empty"},
		{"file of comments", "# nothing\n", ":1: the file is empty"},
		{"two documents", "log: {}\n---\nlog: {}\n", ":2: a second document begins"},
		{"a cut second document", "log: {}\n---\nlog: {\n", ":4: is not YAML"},
		{"syntax", "log: {}\na: b: c\n", ":2: is not YAML: mapping values are not allowed"},
		{"bare variable in braces", "admin: { token: ${T} }\n", `:1: is not YAML: did not find expected ',' or '}' while parsing a flow mapping: inside { } or [ ], write "${NAME}" in quotes`},
		{"not UTF-8", "log: {}\n# \xff\n", ":2: is not UTF-8 text"},
		{"unknown anchor", "cache: *x\n", ":1: is not YAML: unknown anchor 'x' referenced"},
		{"anchor inside itself", "sites: &x [*x]\n", ":1: sites[0]: must be a mapping of keys, not a list"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			_, problems := decodeText(tt.text, edgetest.NoEnv)
			if len(problems) != 1 || !strings.HasPrefix(problems.Error(), "config.yaml"+tt.want) {
				t.Errorf("got  %v\nwant config.yaml%s…", problems, tt.want)
			}
		})
	}
}

func TestPasswordIsNotRepeated(t *testing.T) {
	for _, u := range []string{"http://me:hunter2@a.example", "http://me:hunter2%zz@a.example", "me:hunter2@a.example"} {
		_, problems := decodeText("public_url: "+u+"\n", edgetest.NoEnv)
		if len(problems) != 1 || strings.Contains(problems.Error(), "hunter2") {
			t.Errorf("%s: %v", u, problems)
		}
	}
	_, problems := decodeText("admin: { token: \"${T}\" }\n", edgetest.EnvOf(map[string]string{"T": "hunter2 "}))
	if len(problems) != 1 || strings.Contains(problems.Error(), "hunter2") {
		t.Errorf("token: %v", problems)
	}
}

func TestEveryProblemIsReportedAtOnceByLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	edgetest.WriteFile(t, path, `listen: 8080
cache:
  memory: lots
  dir: `+path+`/under-a-file
sites:
  - name: npm
    authorized: share
    masters:
      - { url: "https://a.example/?x", role: primary }
      - { url: "https://b.example", role: primary }
      - { url: "https://c.example", role: primary }
tls:
  listen: :443
  certificate: { cert: no.pem, key: no.key }
lgo: {}
`)
	_, err := Load(path, allKinds, edgetest.NoEnv)
	var problems node.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("the error is %T: %v", err, err)
	}
	var got []string
	for _, line := range strings.Split(strings.ReplaceAll(err.Error(), path+":", ""), "\n") {
		number, rest, _ := strings.Cut(line, ": ")
		key, _, _ := strings.Cut(rest, ": ")
		got = append(got, number+" "+key)
	}
	want := []string{
		"1 listen", "3 cache.memory", "4 cache.dir", "7 sites[0].authorized", "9 sites[0].masters[0].url",
		"10 sites[0].masters[1].role", "11 sites[0].masters[2].role",
		"14 tls.certificate.cert", "14 tls.certificate.key", "15 lgo",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s\nfrom\n%v", strings.Join(got, "\n"), strings.Join(want, "\n"), err)
	}
}

func TestFilesAreTried(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	edgetest.WriteFile(t, file, "x")
	cert, key := edgetest.MakePair(t, dir, "a")
	_, otherKey := edgetest.MakePair(t, dir, "b")
	now := time.Now()
	old, oldKey := edgetest.MakePairOf(t, dir, "old", func(c *x509.Certificate) { c.NotAfter = now.Add(-72 * time.Hour) })
	early, earlyKey := edgetest.MakePairOf(t, dir, "early", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) })
	named, namedKey := edgetest.MakePairOf(t, dir, "named", func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "*.b.example"} })
	pair := func(cert, key string) string {
		return "tls: { listen: \":443\", certificate: { cert: \"" + cert + "\", key: \"" + key + "\" } }\n"
	}
	for _, tt := range []struct{ rule, text, want string }{
		{"directory that is there", "cache: { dir: " + dir + " }\n", ""},
		{"directory that can be made", "cache: { dir: " + dir + "/a/b/c }\n", ""},
		{"directory that is a file", "cache: { dir: " + file + " }\n", "cache.dir: " + file + ": "},
		{"directory under a file", "cache: { dir: " + file + "/a }\n", "cache.dir: " + file + "/a: "},
		{"a pair", pair(cert, key), ""},
		{"key of another", pair(cert, otherKey), "tls.certificate: " + cert + " and " + otherKey + " are not a pair: "},
		{"expired pair", pair(old, oldKey), "tls.certificate.cert: " + old + " expired on " + now.Add(-72*time.Hour).UTC().Format(time.DateOnly) + ", 3 days ago: put a renewed"},
		{"pair of tomorrow", pair(early, earlyKey), "tls.certificate.cert: " + early + " is not valid before "},
		{"pair for public_url", "public_url: https://x.b.example:8443/npm\n" + pair(named, namedKey), ""},
		{"pair for another name than public_url", pair(named, namedKey) + "public_url: https://c.example\n",
			"tls.certificate.cert: " + named + " is for a.example, *.b.example, 127.0.0.1, and not for c.example, which public_url"},
		{"pair for another name than the site's host", pair(named, namedKey) + "public_url: https://a.example\nsites: [{ name: npm, hosts: [d.example] }]\n",
			"tls.certificate.cert: " + named + " is for a.example, *.b.example, 127.0.0.1, and not for d.example,"},
		{"ca_root", "tls: { listen: ':443', domains: [a.example], ca_root: " + cert + " }\npublic_url: https://a.example\n", ""},
		{"ca_root that is none", "tls: { listen: ':443', domains: [a.example], ca_root: " + file + " }\npublic_url: https://a.example\n", "tls.ca_root: " + file + ": it has no certificate"},
		{"certificate that is none", pair(file, key), "tls.certificate: "},
		{"certificate that is missing", pair(dir+"/none", key), "tls.certificate.cert: " + dir + "/none: cannot read it: no such file"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			edgetest.WriteFile(t, path, tt.text)
			_, err := Load(path, allKinds, edgetest.NoEnv)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), path+":1: "+tt.want)) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
	if _, err := os.Stat(dir + "/a"); err == nil {
		t.Error("Load made the cache directory")
	}
}

func TestUnreadableConfiguration(t *testing.T) {
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.yaml")
	edgetest.WriteFile(t, huge, strings.Repeat("#", value.MaxFile+1))
	for path, want := range map[string]string{
		dir + "/none.yaml": "/none.yaml: cannot read it: no such file or directory",
		dir:                ": cannot read it: is a directory",
		huge:               ": is larger than 1MiB",
	} {
		if _, err := Load(path, allKinds, edgetest.NoEnv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	// Small seeds: large ones have the fuzzer minimise for a minute each.
	f.Add("listen: :1\npublic_url: http://a.example\nadmin: { listen: '', token: x }\n")
	f.Add("tls: { listen: :2, domains: [a.example], email: '', ca: '', certificate: { cert: '', key: '' } }\n")
	f.Add("limits: { burst: 1, exempt: [10.0.0.0/8], trusted_proxies: [] }\nlog: { level: warn, access: off }\n")
	f.Add("sites: [{ name: a, hosts: [b], timeouts: { idle: 1s }, fresh: { files: 1d }, stale: { if_error: forever } }]\n")
	f.Add("sites: [{ name: a, masters: [{ url: \"http://a.example\", role: primary }] }]\n")
	f.Add("sites:\n  - &x { name: a, path: /a }\n  - { <<: *x, name: b, path: \"/${N:-b}\" }\n")
	f.Add("sites: &x [*x]\n")
	f.Add("? {a: b}\n: [c, \"${\"]\n---\nx\n")
	f.Add("cache: { disk: 1, max_object: 9223372036854775807B }\nlimits: { rate: 1e300 }\n")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, problems := decodeText(text, edgetest.EnvOf(map[string]string{"N": "v"}))
		if cfg == nil && len(problems) == 0 {
			t.Fatal("neither a configuration nor a problem")
		}
		if len(problems) > 0 {
			lines := 1
			for _, r := range text {
				if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) { // line breaks in YAML
					lines++
				}
			}
			for _, m := range problems {
				if m.Line < 0 || m.Line > lines+1 || m.Text == "" {
					t.Errorf("odd problem in a file of %d lines: %+v", lines, m)
				}
			}
			return
		}
		c := cfg.Cache
		if cfg.PublicURL == nil || len(cfg.Sites) == 0 || c.Memory <= 0 || c.MaxMetadata <= 0 || c.MaxObject <= 0 || c.MaxObject > c.Disk {
			t.Fatalf("accepted an incomplete configuration: %+v", cfg)
		}
		for i := range cfg.Sites {
			s := &cfg.Sites[i]
			cfg.Public(s)
			for j, m := range s.Masters {
				if (m.Role == RolePrimary) != (j == 0) || m.URL.Host == "" || m.URL.RawQuery != "" || m.URL.User != nil {
					t.Errorf("accepted master %d as %+v", j, m)
				}
			}
		}
		cfg.Warnings()
		if err := cfg.Print(io.Discard); err != nil {
			t.Error(err)
		}
	})
}
