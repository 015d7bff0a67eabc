package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The arrows between rooms, as docs/decisions/0001 explains them. A room that is
// not named here may be imported by none and import none.

// arrow is an import that a room may have, and the reason for it.
type arrow struct{ to, why string }

// arrows lists the imports of our packages that each room may have.
var arrows = map[string][]arrow{
	"bench/loopback": nil,
	"bench/chaos": {
		{"bench/loopback", "its edge has addresses"},
		{"origin/sample", "its masters"},
		{"origin/sample/faults", "which are in trouble"},
		{"origin/sample/tarball", "their files"},
	},
	"bench/files": {
		{"edge/config", "the edge that it measures has a configuration"},
		{"edge/daemon", "it runs that edge"},
		{"origin/kinds", "its site is of a kind"},
		{"origin/sample", "its master is a sample"},
	},
	"bench/fleetchaos": {
		{"bench/loopback", "its processes have addresses"},
		{"edge/fleet/figures", "a purge says where it is in force"},
		{"edge/report", "an edge tells in its status when it has read the log"},
		{"origin/sample", "its masters"},
		{"origin/sample/tarball", "their files"},
	},
	"bench/fleetsim": nil,
	"bench/lines":    nil,
	"bench/load":     nil,
	"bench/pop": {
		{"bench/loopback", "its edges have addresses"},
		{"edge/report", "an edge tells in its status when it knows its siblings"},
	},
	"bench/pgo": {
		{"edge/command", "it is the edge, with a profile"},
	},
	"deploy/sbom": nil,
	"edge": {
		{"edge/command", "main calls it"},
	},
	"edge/accesslog": nil,
	"edge/admin": {
		{"edge/fleet/figures", "a purge says how far it has come"},
		{"edge/conditional", "a browser is told by its Accept"},
		{"edge/report", "its client reads the status, and makes replies safe to print"},
	},
	"edge/admin/page": {
		{"edge/conditional", "the document is compressed for those that accept it"},
		{"edge/history", "it shows the last hour"},
		{"edge/report", "it shows the status, in the sentences of edge status"},
	},
	"edge/changes": {
		{"edge/config", "a feed has its URL and mode there"},
		{"edge/site", "a change is put in force by its site"},
		{"origin/feed", "it follows a registry's change feed"},
	},
	"edge/conditional": {
		{"cache/policy", "ranges and dates are parsed as the cache does"},
	},
	"edge/config": {
		{"edge/config/node", "it reads nodes with lines"},
		{"edge/config/fleet", "it has a key of its own"},
		{"edge/config/value", "it reads single values"},
		{"cache/budget", "cache.memory is checked against the parts that the budget is split into"},
		{"origin/kind", "a site's kind says which keys and defaults it has"},
		{"origin/feed", "changes.mode is a feed.Mode"},
		{"tls", "a static pair is judged by check as it is at the start"},
	},
	"edge/command": {
		{"edge/admin", "commands call the admin API of a running edge"},
		{"edge/config", "check and serve read a configuration"},
		{"edge/config/value", "--master is a URL as in a configuration"},
		{"edge/config/node", "a mistyped command is told as a mistyped key is"},
		{"edge/daemon", "serve runs it"},
		{"edge/fleet", "edge fleet init makes the log"},
		{"edge/fleet/figures", "edge purge says how far a purge has come"},
		{"edge/fleet/purgelog", "edge fleet init names the stream"},
		{"edge/lockfile", "edge purge checks package names"},
		{"edge/preflight", "edge check looks at the machine and the masters"},
		{"edge/report", "edge status prints a status"},
		{"edge/systemd", "a process that is started again has sockets of its own"},
		{"edge/warm", "edge warm is a command"},
		{"origin/kinds", "check and serve read the settings of every kind"},
	},
	"edge/config/diff": {
		{"edge/config", "it compares two"},
		{"origin/kind", "the settings of a kind are compared by its keys"},
	},
	"edge/config/fleet": {
		{"edge/config/node", "it reads nodes with lines"},
		{"edge/config/value", "it reads single values"},
		{"tls", "authorities are read as check reads those of tls"},
	},
	"edge/config/node": nil,
	"edge/config/value": {
		{"origin/kind", "a duration may be one of a kind's words"},
	},
	"edge/daemon": {
		{"cache", "it opens the cache, and purges it for an operator"},
		{"cache/budget", "the memory budget sets the collector's limit"},
		{"cache/purge", "an operator's words become a purge"},
		{"cache/store", "the count of a purge compares it with keys"},
		{"edge/accesslog", "it makes the access logs"},
		{"edge/admin", "it serves the admin API"},
		{"edge/admin/page", "it gives the admin API its page"},
		{"edge/changes", "it runs feeds and webhooks"},
		{"edge/config", "it runs a configuration"},
		{"edge/config/diff", "a reload keeps the parts that have not changed"},
		{"edge/fastlane", "it makes the lane, and gives it to listeners and to the proxy"},
		{"edge/framing", "the lane is off where its self-test fails"},
		{"edge/fleet", "it opens the log of purges"},
		{"edge/fleet/purgelog", "it puts entries of the log in force"},
		{"edge/fleet/figures", "it exports the figures of a fleet"},
		{"edge/gauges", "figures that are read when they are scraped"},
		{"edge/handover", "it takes the place of the running edge, and gives its own to the next"},
		{"edge/history", "it samples the counters for it, and gives it to the proxy and the page"},
		{"edge/limit", "it gives the proxy the budgets of clients"},
		{"edge/operator", "an operator's words are about responses"},
		{"edge/pop", "it runs the siblings and the shared store"},
		{"edge/proxy", "it serves the proxy"},
		{"edge/report", "it fills in the status"},
		{"edge/secure", "it says where the encrypted listener is"},
		{"edge/server", "it opens listeners"},
		{"edge/site", "it builds sites"},
		{"edge/systemd", "it takes the sockets of systemd, and tells it of its state"},
		{"edge/welcome", "it makes the page for browsers of a configuration"},
		{"origin", "the sites share its memory for documents, and it shows and drains masters"},
		{"origin/feed", "it shows the feeds' figures"},
		{"origin/sample", "without a master it starts sample masters"},
		{"tls", "it serves TLS"},
	},
	"edge/edgetest":          nil,
	"edge/edgetest/chromium": nil,
	"edge/fastlane": {
		{"edge/framing", "it answers requests whose heads are read there, on its connections"},
	},
	"edge/fleet/figures": nil,
	"edge/fleet": {
		{"edge/config", "it has the keys of the configuration"},
		{"edge/fleet/figures", "it tells its figures"},
		{"edge/fleet/lease", "a change feed is followed under a lease"},
		{"edge/fleet/presence", "it knows the other edges"},
		{"edge/fleet/purgelog", "it reads and writes the log of purges"},
		{"edge/fleet/vault", "it makes the storage of shared certificates"},
		{"tls", "the authority of the NATS servers is read as that of an ACME server is"},
	},
	"edge/fleet/bucket": nil,
	"edge/fleet/lease": {
		{"edge/fleet/bucket", "leases are in one"},
	},
	"edge/fleet/vault": {
		{"edge/fleet/bucket", "certificates are in one"},
		{"edge/fleet/lease", "a lock is a lease"},
	},
	"edge/fleet/natstest": nil,
	"edge/fleet/presence": {
		{"edge/fleet/figures", "an edge is described there"},
	},
	"edge/fleet/purgelog": {
		{"cache/purge", "its messages are purges"},
		{"edge/fleet/figures", "it tells its figures"},
	},
	"edge/fleet/members": nil,
	"edge/fleet/objects": {
		{"edge/fleet/figures", "it counts requests and files"},
		{"origin", "it is a nearer source of the masters' files"},
	},
	"edge/fleet/sibling": {
		{"cache", "a sibling is answered as a client is, by a query"},
		{"edge/fleet/figures", "it counts requests"},
		{"edge/fleet/members", "the owner of a thing is asked"},
		{"origin", "it is a nearer source of the masters' answers"},
	},
	"edge/framing": nil,
	"edge/gauges": {
		{"cache", "the usage of the cache"},
		{"edge/admin", "metrics are registered there"},
		{"edge/fleet/figures", "a fleet has figures"},
		{"edge/limit", "things under way have ceilings"},
		{"edge/server", "connections have figures"},
		{"origin", "masters have figures"},
		{"origin/feed", "a feed has figures"},
		{"tls", "certificates end"},
	},
	"edge/handover": nil,
	"edge/history":  nil,
	"edge/limit":    nil,
	"edge/lockfile": nil,
	"edge/operator": {
		{"cache/purge", "an operator's words become a purge"},
		{"cache/store", "a purge covers keys"},
		{"edge/admin", "the words are those of the admin API"},
		{"edge/site", "responses are of sites"},
	},
	"edge/pop": {
		{"cache", "siblings are answered from it"},
		{"cache/purge", "a hard purge deletes files of the shared store"},
		{"edge/config", "a fleet is configured"},
		{"edge/fleet/members", "it makes the list of siblings"},
		{"edge/fleet/objects", "it makes the shared store"},
		{"edge/fleet/sibling", "it makes the client and the listener of siblings"},
		{"edge/report", "it describes itself to an operator"},
		{"edge/site", "siblings ask for things of sites"},
		{"origin", "siblings and the store are nearer than masters"},
		{"tls", "authorities are read as check reads them"},
	},
	"edge/preflight": {
		{"cache/fsys", "the size of the cache's file system"},
		{"edge/config", "it compares a configuration with the machine"},
		{"edge/report", "byte counts and causes are written as edge status writes them"},
	},
	"edge/report": {
		{"edge/fleet/figures", "it shows the figures of a fleet"},
		{"cache", "it shows the usage of the cache, and counts by outcome"},
		{"origin", "it shows the masters"},
		{"origin/feed", "it shows the change feed"},
		{"tls", "it shows the certificates"},
	},
	"edge/proxy": {
		{"cache", "it asks the cache for responses"},
		{"cache/policy", "a client's Cache-Control and Range become a policy.Request"},
		{"edge/accesslog", "each request becomes a line"},
		{"edge/changes", "it hands webhooks their messages"},
		{"edge/conditional", "it answers ranges and preconditions"},
		{"edge/fastlane", "a fresh hit is offered to the lane"},
		{"edge/history", "a failure that a client saw is a history.Failure"},
		{"edge/framing", "the body of a repeated answer is a framing.Body"},
		{"edge/limit", "a request costs a hit or a miss"},
		{"edge/redact", "a busy Redactor is a reason to fail"},
		{"edge/secure", "clients are led to the encrypted listener"},
		{"edge/site", "a request is for a site"},
		{"edge/words", "a failure is told in words"},
		{"origin", "a failure is answered by its cause"},
		{"origin/kind", "a request is a kind.Route"},
	},
	"edge/redact": nil,
	"edge/server": {
		{"edge/framing", "each connection is guarded"},
		{"edge/limit", "connections of a client are bounded, as its requests are"},
	},
	"edge/systemd": nil,
	"edge/secure": {
		{"edge/site", "a Host is read as sites read it"},
	},
	"edge/words": {
		{"origin", "the failures of masters have their words there"},
	},
	"edge/site": {
		{"cache", "it makes queries and purges"},
		{"cache/policy", "its lifetimes are a policy.Rule"},
		{"cache/purge", "a write or a change becomes a purge"},
		{"cache/store", "a route has a store.Key"},
		{"edge/config", "it is built from a config.Site"},
		{"edge/redact", "it bounds how many of its bodies are rewritten at a time"},
		{"edge/report", "it explains a response with durations as edge status writes them"},
		{"origin", "it has masters"},
		{"origin/kind", "a request is a kind.Route"},
	},
	"edge/welcome": {
		{"origin/kind", "a kind says how its clients are pointed at a site"},
	},
	"edge/warm": {
		{"edge/lockfile", "it reads lockfiles"},
		{"edge/report", "its summary has byte counts, and reasons of foreign servers"},
	},
	"cache": {
		{"cache/budget", "the memory budget is split when the cache is opened"},
		{"cache/disk", "it opens the disk tier"},
		{"cache/flight", "concurrent misses share a flight"},
		{"cache/fsys", "it hands the system calls to the disk tier and the purges"},
		{"cache/memory", "it opens the memory tier"},
		{"cache/policy", "Get acts on the verdicts of Decide"},
		{"cache/purge", "Get asks whether a purge covers a stored response"},
		{"cache/store", "Get looks a stored response up"},
		{"cache/tier", "the two tiers are one store"},
	},
	"cache/budget": nil,
	"cache/disk": {
		{"cache/fsys", "it calls the file system through it"},
		{"cache/openfile", "files stay open for look-ups to come"},
		{"cache/quarantine", "corrupt files go there"},
		{"cache/record", "its files have that format"},
		{"cache/sieve", "it evicts by it"},
		{"cache/store", "it is a store.Store"},
	},
	"cache/openfile": {
		{"cache/fsys", "it reads files through it"},
		{"cache/record", "a file has a head of that format"},
		{"cache/store", "a head has a store.Meta"},
	},
	"cache/quarantine": {
		{"cache/fsys", "it moves and removes files through it"},
	},
	"cache/flight": {
		{"cache/budget", "its bytes in memory are counted"},
		{"cache/store", "its bytes go to a store.Writer"},
	},
	"cache/memory": {
		{"cache/budget", "it has a share of the memory budget"},
		{"cache/sieve", "a copy in memory keeps when its file was touched"},
		{"cache/store", "it is a store.Store"},
	},
	"cache/tier": {
		{"cache/disk", "it is behind memory"},
		{"cache/memory", "it is before the disk"},
		{"cache/policy", "it tells a 404, which is not for the disk"},
		{"cache/record", "a Meta that no file takes is told by its error"},
		{"cache/store", "it is a store.Store"},
	},
	"cache/fsys":              nil,
	"cache/policy":            nil,
	"cache/policy/policytest": nil,
	"cache/fsys/fsystest": {
		{"cache/fsys", "it makes the system calls fail"},
	},
	"cache/purge": {
		{"cache/fsys", "the journal is a file"},
		{"cache/policy", "a purge leaves a policy.Mark"},
		{"cache/store", "a purge covers a store.Key"},
	},
	"cache/record": {
		{"cache/policy", "a Meta has a policy.Span"},
		{"cache/store", "a file holds a store.Meta"},
	},
	"cache/sieve": nil,
	"cache/store": {
		{"cache/policy", "a Meta embeds the part that policy decides by"},
	},
	"cache/store/storetest": {
		{"cache/policy", "it makes a Meta"},
		{"cache/fsys/fsystest", "it makes a disk tier pause"},
		{"cache/policy/policytest", "header fields in one line"},
		{"cache/store", "it is the contract of a Store"},
	},
	"tls": nil,
	"origin": {
		{"origin/documents", "the sites share its memory"},
		{"origin/counted", "a site's memory is shared by configurations"},
		{"origin/fetch", "it fetches for the cache"},
		{"origin/health", "it hands configured masters down, and their status up"},
		{"origin/kind", "masters are asked for a kind.Route"},
		{"origin/pool", "a site has one pool or two"},
		{"origin/transport", "its timeouts are the transport's"},
	},
	"origin/counted": nil,
	"origin/recent":  nil,
	"origin/links":   nil,
	"origin/badcopies": {
		{"origin/recent", "bad copies are remembered for a while"},
	},
	"origin/documents": {
		{"origin/kind", "it writes a kind.Document"},
	},
	"origin/fetch": {
		{"origin/documents", "documents are read in a bounded memory, and written in content codings"},
		{"origin/health", "an unusable answer is a health.Blame"},
		{"origin/kind", "a kind checks and rewrites documents"},
		{"origin/pool", "a pool asks the masters"},
		{"origin/transport", "an answer may be a transport.StatusError"},
		{"origin/recent", "deferred documents are remembered for a while"},
		{"origin/verify", "a file is the one that was asked for, or another master is asked"},
	},
	"origin/health": {
		{"origin/counted", "the health of a master is shared by configurations"},
		{"origin/kind", "a request's class comes from its kind.Route"},
		{"origin/transport", "probes are sent to masters"},
	},
	"origin/complaints": nil,
	"origin/pool": {
		{"origin/complaints", "the log tells of a master's failures once in a while"},
		{"origin/counted", "a pool's memory is shared by configurations"},
		{"origin/health", "masters are chosen by their health"},
		{"origin/kind", "a request is for a kind.Route"},
		{"origin/transport", "requests are sent to masters"},
		{"origin/links", "URLs of a master in responses that pass become the site's"},
		{"origin/recent", "writes are remembered for a while"},
		{"origin/badcopies", "a master with a bad copy is asked last"},
	},
	"origin/verify": {
		{"origin/health", "a wrong file is a health.Blame"},
		{"origin/kind", "it verifies a kind.Digest"},
	},
	"origin/kinds": {
		{"origin/kind", "it lists descriptors"},
		{anyKind, "it is the line where a kind is registered"},
	},
	anyKind: {
		{"origin/kind", "a kind implements kind.Kind"},
		{partOfKind, "a kind may have packages of its own"},
	},
	partOfKind: {
		{"origin/kind", "a part of a kind speaks the vocabulary of kinds"},
	},
	"origin/kind": nil,
	"origin/kind/kindtest": {
		{"origin/kind", "the conformance suite calls a kind.Kind"},
	},
	"origin/kind/kindtest/shelf": {
		{"origin/kind", "a throw-away kind implements kind.Kind"},
	},
	"origin/sample": {
		{"origin/sample/account", "logins and tokens"},
		{"origin/sample/ordered", "documents keep the order of their members"},
		{"origin/sample/tarball", "a version has a tarball and its digests"},
	},
	"origin/sample/account": nil,
	"origin/sample/ordered": nil,
	"origin/sample/tarball": nil,
	"origin/sample/faults": {
		{"origin/sample", "it puts sample masters in trouble"},
	},
	"origin/feed": nil,
	"origin/origintest": {
		{"origin/sample", "masters to ask"},
		{"origin/sample/faults", "masters in trouble"},
		{"origin/sample/tarball", "tarballs that no package has"},
		{"origin/transport", "timeouts that no test reaches"},
	},
	"origin/transport": nil,
}

// testArrows lists the imports that the tests of a room may have besides.
var testArrows = map[string][]arrow{
	"edge/accesslog": {
		{"edge/edgetest", "helpers that rooms share"},
	},
	"bench/fleetsim": {
		{"cache/policy", "documents of virtual edges have lifetimes"},
		{"cache/purge", "and are purged"},
		{"edge/edgetest", "helpers that rooms share"},
		{"edge/fleet/members", "each thing has its owner"},
		{"edge/fleet/natstest", "a real server needs as many bytes"},
		{"edge/fleet/purgelog", "each virtual edge reads the log"},
	},
	"edge/fleet": {
		{"cache/purge", "a purge is announced"},
		{"edge/edgetest", "helpers that rooms share"},
		{"edge/fleet/natstest", "a fleet needs its servers"},
	},
	"edge/fleet/vault": {
		{"edge/edgetest", "tests wait for edges"},
		{"edge/fleet/natstest", "the certificates are at its servers"},
	},
	"edge/fleet/lease": {
		{"edge/edgetest", "helpers that rooms share"},
		{"edge/fleet/natstest", "a lease is at its servers"},
	},
	"edge/fleet/presence": {
		{"edge/edgetest", "helpers that rooms share"},
		{"edge/fleet/natstest", "edges hear each other by its servers"},
	},
	"edge/fleet/purgelog": {
		{"edge/edgetest", "helpers that rooms share"},
		{"edge/fleet/natstest", "the log is at its servers"},
	},
	"edge": {
		{"edge/edgetest", "helpers that rooms share"},
		{"origin/kinds", "no name of a kind may be compared"},
	},
	"edge/changes": {
		{"edge/edgetest", "helpers that rooms share"},
		{"origin/kinds", "a site of a kind"},
	},
	"edge/daemon": {
		{"edge/fleet/natstest", "a fleet needs its servers"},
		{"edge/edgetest", "helpers that rooms share"},
		{"edge/edgetest/chromium", "it looks at the page as a browser shows it"},
		{"edge/redact", "a body that is too large to be rewritten"},
		{"origin/kind", "it asks sites for their routes"},
		{"origin/kind/kindtest/shelf", "a kind that is one folder and one line"},
		{"origin/kind/kindtest", "every way to write the slashes of a path"},
		{"origin/kinds", "configurations of each kind"},
		{"origin/sample/faults", "masters in trouble"},
		{"origin/sample/tarball", "tarballs that no package has"},
	},
	"edge/fleet/objects": {
		{"edge/edgetest", "helpers that rooms share"},
		{"origin/kind", "digests of files"},
	},
	"edge/fleet/sibling": {
		{"cache/purge", "an owner that has not heard of a purge"},
		{"edge/config", "the edges of a place have configurations"},
		{"edge/edgetest", "helpers that rooms share"},
		{"edge/site", "and a site"},
		{"origin/kinds", "which is of a kind"},
		{"origin/origintest", "and two masters"},
		{"origin/sample/faults", "in trouble"},
	},
	"edge/framing": {
		{"edge/edgetest", "raw conversations"},
	},
	"edge/fastlane": {
		{"edge/edgetest", "raw conversations"},
	},
	"edge/handover": {
		{"edge/edgetest", "helpers that rooms share"},
	},
	"edge/server": {
		{"edge/edgetest", "helpers that rooms share"},
	},
	"edge/site": {
		{"edge/edgetest", "helpers that rooms share"},
		{"origin/kinds", "a site of a kind"},
	},
	"edge/config": {
		{"edge/edgetest", "helpers that rooms share"},
		{"origin/kinds", "configurations of each kind"},
	},
	"origin": {
		{anyKind, "a site of each kind"},
		{"origin/origintest", "masters to ask"},
		{"origin/sample/faults", "masters in trouble"},
	},
	"edge/config/diff": {
		{"edge/edgetest", "an empty environment"},
		{"origin/kinds", "configurations of every kind"},
	},
	"origin/documents": {
		{"origin/origintest", "its comparisons"},
	},
	"origin/fetch": {
		{"origin/kinds", "a site of each kind"},
		{anyKind, "a site of each kind"},
		{"origin/origintest", "masters to ask"},
		{"origin/sample", "masters to ask"},
		{"origin/sample/faults", "masters in trouble"},
		{"origin/sample/tarball", "tarballs that no package has"},
	},
	"origin/health": {
		{anyKind, "the probes of a kind"},
		{"origin/origintest", "masters to ask"},
		{"origin/sample", "masters to ask"},
		{"origin/sample/faults", "masters in trouble"},
	},
	"origin/pool": {
		{anyKind, "routes to ask for"},
		{"origin/fetch", "a fetcher, for tests of both together"},
		{"origin/origintest", "masters to ask"},
		{"origin/sample", "masters to ask"},
		{"origin/sample/faults", "masters in trouble"},
		{"origin/sample/tarball", "gzip files without a compressor"},
	},
	"edge/proxy": {
		{"cache/store", "a body in memory"},
	},
	"edge/command": {
		{"edge/fleet/natstest", "edge fleet init needs servers"},
		{"edge/edgetest", "helpers that rooms share"},
	},
	"edge/preflight": {
		{"edge/edgetest", "helpers that rooms share"},
		{"origin/kinds", "configurations with sites of every kind"},
	},
	"edge/config/node": {
		{"edge/edgetest", "helpers that rooms share"},
	},
	"edge/warm": {
		{"edge/edgetest", "helpers that rooms share"},
		{"origin/sample", "a registry that is no edge"},
		{"origin/sample/faults", "its masters"},
	},
	"cache": {
		{"cache/fsys/fsystest", "a file system in trouble"},
		{"cache/policy/policytest", "stored responses in one line"},
		{"cache/record", "errors of damaged files"},
		{"cache/store/storetest", "stored responses in one line"},
	},
	"cache/disk": {
		{"cache/budget", "the size of an index entry"},
		{"cache/fsys/fsystest", "a file system in trouble"},
		{"cache/policy/policytest", "stored responses in one line"},
		{"cache/purge", "a benchmark of a million objects purges"},
		{"cache/store/storetest", "the contract of a Store"},
	},
	"cache/flight": {
		{"cache/store/storetest", "bytes of a body"},
	},
	"cache/memory": {
		{"cache/policy/policytest", "stored responses in one line"},
		{"cache/store/storetest", "the contract of a Store"},
	},
	"cache/tier": {
		{"cache/budget", "it opens tiers"},
		{"cache/fsys", "it opens tiers"},
		{"cache/fsys/fsystest", "a file system in trouble"},
		{"cache/policy/policytest", "stored responses in one line"},
		{"cache/store/storetest", "the contract of a Store"},
	},
	"cache/purge": {
		{"cache/fsys/fsystest", "a file system in trouble"},
	},
	"cache/record": {
		{"cache/policy/policytest", "stored responses in one line"},
		{"cache/store/storetest", "stored responses in one line"},
	},
	"cache/policy": {
		{"cache/policy/policytest", "stored responses in one line"},
	},
	"origin/kind/kindtest/shelf": {
		{"origin/kind/kindtest", "the conformance suite"},
	},
	anyKind: {
		{"origin/kind/kindtest", "the conformance suite"},
		{"origin/sample", "documents as a master sends them"},
	},
	partOfKind: {
		{"origin/kind/kindtest", "the conformance suite"},
	},
	"origin/sample": {
		{"origin/kind", "the sample masters are held to the vocabulary"},
		{anyKind, "the sample masters are held to a kind's reading of their documents"},
		{"origin/sample/faults", "masters in trouble"},
		{"origin/sample/tarball", "tarballs that no package has"},
	},
}

// anyKind stands for every kind of registry: a new one is a new folder under
// origin, and needs no line here.
const anyKind = "origin/*"

// partOfKind stands for every package below the folder of a kind, which that kind
// alone may import.
const partOfKind = "origin/*/*"

// impure lists the packages that a room without network or disk cannot need. It may
// be given times, and reads them in documents, so that package time is another
// matter: see TestPureRoomsHaveNoClock.
var impure = []string{"net", "os", "os/exec", "os/signal", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "unsafe"}

// pure lists the rooms that must do without it.
var pure = []string{anyKind, partOfKind, "origin/kind", "edge/lockfile", "edge/conditional", "cache/policy"}

// pkg is a package as "go list -json" prints it.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// clock matches the functions of package time that depend on more than their
// arguments.
var clock = regexp.MustCompile(`\btime\.(Now|Since|Until|Sleep|After|AfterFunc|Tick|NewTimer|NewTicker|Local)\b`)

func TestPureRoomsHaveNoClock(t *testing.T) {
	files, err := filepath.Glob("../origin/*/*.go")
	parts, _ := filepath.Glob("../origin/*/*/*.go")
	rules, _ := filepath.Glob("../cache/policy/*.go")
	if err != nil || len(files) == 0 || len(parts) == 0 || len(rules) == 0 {
		t.Fatal("no rooms", err)
	}
	for _, name := range slices.Concat(files, parts, rules) {
		if !slices.Contains(pure, room("pkgedge/"+filepath.ToSlash(filepath.Dir(name)[len("../"):]))) || strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if use := clock.Find(source); use != nil {
			t.Errorf("%s is pure and uses %s", name, use)
		}
	}
}

func TestArrows(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Dir = ".."
	list.Stderr = t.Output()
	out, err := list.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := list.Start(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for decode := json.NewDecoder(out); ; {
		var p pkg
		if err := decode.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen[room(p.ImportPath)] = true
		for _, fault := range forbidden(p) {
			t.Error(fault)
		}
	}
	if err := list.Wait(); err != nil {
		t.Fatal(err)
	}
	for name := range arrows {
		if !seen[name] {
			t.Errorf("there is no room %s any more: take it out of the table", name)
		}
	}
}

// The program must not have code that is there for tests: fault injection least of
// all.
func TestProgramHasNoTestCode(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./edge")
	list.Dir = ".."
	list.Stderr = t.Output()
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := 0
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		if !ours(path) {
			continue
		}
		linked++
		if strings.HasSuffix(path, "test") || strings.Contains(path, "test/") || strings.HasSuffix(path, "/faults") {
			t.Errorf("the program links %s, which is for tests", path)
		}
	}
	if linked == 0 {
		t.Error("the program links nothing of ours")
	}
}

// forbidden lists the arrows of p that the tables do not have.
func forbidden(p pkg) []string {
	var faults []string
	from := room(p.ImportPath)
	allowed, known := arrows[from]
	if !known {
		faults = append(faults, fmt.Sprintf("%s is no room of the house: give it a place in arrows, and in docs/decisions/0001", from))
	}
	for _, path := range p.Imports {
		if ours(path) && (!leads(allowed, room(path)) || room(path) == partOfKind && !strings.HasPrefix(path, p.ImportPath+"/")) {
			faults = append(faults, fmt.Sprintf("%s imports %s", p.ImportPath, path))
		}
		if slices.Contains(pure, from) && slices.Contains(impure, path) {
			faults = append(faults, fmt.Sprintf("%s is pure and imports %s", p.ImportPath, path))
		}
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if to := room(path); ours(path) && path != p.ImportPath && !leads(allowed, to) && !leads(testArrows[from], to) {
			faults = append(faults, fmt.Sprintf("tests of %s import %s", p.ImportPath, path))
		}
	}
	return faults
}

// leads says that one of the arrows leads to that room.
func leads(all []arrow, to string) bool {
	return slices.ContainsFunc(all, func(a arrow) bool { return a.to == to })
}

func ours(path string) bool { return path == "pkgedge" || strings.HasPrefix(path, "pkgedge/") }

// noKinds are the folders of origin that are no kind of registry.
var noKinds = []string{"kind", "kinds", "sample", "feed", "fetch", "documents", "links", "badcopies", "complaints", "verify", "pool", "health", "transport", "counted", "recent", "origintest"}

// room is the name a package has in the tables.
func room(path string) string {
	name := strings.TrimPrefix(path, "pkgedge/")
	below, ok := strings.CutPrefix(name, "origin/")
	first, rest, deep := strings.Cut(below, "/")
	switch {
	case !ok || slices.Contains(noKinds, first) || strings.Contains(rest, "/"):
		return name
	case deep:
		return partOfKind
	}
	return anyKind
}

func TestForbiddenFindsTheArrow(t *testing.T) {
	for _, tt := range []struct {
		name string
		pkg  pkg
		want string // "" is no fault
	}{
		{"the daemon opens the cache", pkg{ImportPath: "pkgedge/edge/daemon", Imports: []string{"pkgedge/cache", "net/http"}}, ""},
		{"cache imports the origin", pkg{ImportPath: "pkgedge/cache", Imports: []string{"pkgedge/origin"}}, "pkgedge/cache imports pkgedge/origin"},
		{"cache imports the vocabulary", pkg{ImportPath: "pkgedge/cache", Imports: []string{"pkgedge/origin/kind"}}, "pkgedge/cache imports pkgedge/origin/kind"},
		{"origin imports the cache", pkg{ImportPath: "pkgedge/origin", Imports: []string{"pkgedge/cache"}}, "pkgedge/origin imports pkgedge/cache"},
		{"a new kind is registered", pkg{ImportPath: "pkgedge/origin/kinds", Imports: []string{"pkgedge/origin/dist"}}, ""},
		{"origin imports a kind", pkg{ImportPath: "pkgedge/origin", Imports: []string{"pkgedge/origin/dist"}}, "pkgedge/origin imports pkgedge/origin/dist"},
		{"origin serves samples", pkg{ImportPath: "pkgedge/origin", Imports: []string{"pkgedge/origin/sample"}}, "pkgedge/origin imports pkgedge/origin/sample"},
		{"origin injects faults", pkg{ImportPath: "pkgedge/origin", Imports: []string{"pkgedge/origin/sample/faults"}}, "pkgedge/origin imports pkgedge/origin/sample/faults"},
		{"edge injects faults", pkg{ImportPath: "pkgedge/edge", Imports: []string{"pkgedge/origin/sample/faults"}}, "pkgedge/edge imports pkgedge/origin/sample/faults"},
		{"tests of the daemon inject faults", pkg{ImportPath: "pkgedge/edge/daemon", TestImports: []string{"pkgedge/origin/sample/faults"}}, ""},
		{"tests of pool use samples", pkg{ImportPath: "pkgedge/origin/pool", TestImports: []string{"pkgedge/origin/sample"}}, ""},
		{"tests of origin use the cache", pkg{ImportPath: "pkgedge/origin", XTestImports: []string{"pkgedge/cache"}}, "tests of pkgedge/origin import pkgedge/cache"},
		{"external tests import their package", pkg{ImportPath: "pkgedge/cache", XTestImports: []string{"pkgedge/cache"}}, ""},
		{"edge imports a kind", pkg{ImportPath: "pkgedge/edge", Imports: []string{"pkgedge/origin/npm"}}, "pkgedge/edge imports pkgedge/origin/npm"},
		{"a kind imports another", pkg{ImportPath: "pkgedge/origin/npm", Imports: []string{"pkgedge/origin/files"}}, "pkgedge/origin/npm imports pkgedge/origin/files"},
		{"a kind opens files", pkg{ImportPath: "pkgedge/origin/npm", Imports: []string{"os"}}, "pkgedge/origin/npm is pure and imports os"},
		{"changes follows feeds", pkg{ImportPath: "pkgedge/edge/changes", Imports: []string{"pkgedge/origin/feed"}}, ""},
		{"a feed knows kinds", pkg{ImportPath: "pkgedge/origin/feed", Imports: []string{"pkgedge/origin/kind"}}, "pkgedge/origin/feed imports pkgedge/origin/kind"},
		{"a room nobody named", pkg{ImportPath: "pkgedge/util"}, "util is no room of the house: give it a place in arrows, and in docs/decisions/0001"},
		{"a kind imports a part of itself", pkg{ImportPath: "pkgedge/origin/npm", Imports: []string{"pkgedge/origin/npm/deep"}}, ""},
		{"a kind imports a part of another", pkg{ImportPath: "pkgedge/origin/npm", Imports: []string{"pkgedge/origin/dist/deep"}}, "pkgedge/origin/npm imports pkgedge/origin/dist/deep"},
		{"origin imports a part of a kind", pkg{ImportPath: "pkgedge/origin", Imports: []string{"pkgedge/origin/npm/deep"}}, "pkgedge/origin imports pkgedge/origin/npm/deep"},
		{"a part of a kind imports the kind", pkg{ImportPath: "pkgedge/origin/npm/deep", Imports: []string{"pkgedge/origin/npm"}}, "pkgedge/origin/npm/deep imports pkgedge/origin/npm"},
		{"a room nobody named, deep below a kind", pkg{ImportPath: "pkgedge/origin/npm/deep/deeper"}, "origin/npm/deep/deeper is no room of the house: give it a place in arrows, and in docs/decisions/0001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(forbidden(tt.pkg), "\n"); got != tt.want {
				t.Errorf("forbidden = %q; want %q", got, tt.want)
			}
		})
	}
}
