package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pkgedge/origin"
	"pkgedge/origin/feed"
	"pkgedge/tls"
)

// at is the time at which the golden documents were made.
var at = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return at.Add(-d) }

func quietStatus() *Status {
	probe := &origin.ProbeStatus{Path: "/left-pad/latest", At: before(3 * time.Second), Result: "ok", Age: 3}
	s := &Status{
		Ready: true, Version: "v1.2.3", At: at, Started: before(75 * time.Hour),
		Config: Config{File: "config.yaml", Read: before(10 * time.Minute)},
		Sites: []Site{{
			Name: "npm", Kind: "npm", Writes: true, Public: "https://npm.example",
			Changes: &feed.Status{Live: true, Since: before(time.Hour), Heard: before(2 * time.Second), Changes: 1},
			Answers: map[string]int64{"hit": 900, "stale": 41, "miss": 50, "error": 9, "local": 7},
			Pools: Pools{Masters: []origin.MasterStatus{
				{N: 0, URL: "https://a.example", Role: "primary", State: "healthy", Share: 1, InFlight: 12, LatencyMS: 23.456, Probe: probe},
				{N: 1, URL: "https://b.example", Role: "replica", State: "healthy", Share: 1, Probe: probe},
			}},
		}},
		Cache: Cache{MemoryLimit: 256 << 20, DiskLimit: 10 << 30},
	}
	s.Certificates = []tls.Status{{Name: "npm.example", Names: []string{"npm.example"}, NotBefore: before(24 * time.Hour), NotAfter: at.Add(89 * 24 * time.Hour), ACME: true}}
	c := &s.Cache
	c.MemoryBytes, c.MemoryObjects, c.DiskBytes, c.DiskObjects = 100<<20, 1, 5<<30, 12345
	c.Evictions, c.Flights, c.ScanPercent = 17, 2, 100
	return s
}

// nightStatus describes an edge in which everything is wrong.
func nightStatus() *Status {
	s := quietStatus()
	s.Ready, s.Why = false, "draining"
	s.Config.Refused, s.Config.Mistakes = before(5*time.Minute), []string{"config.yaml:12: limits.rate: \"x\" is not a number", "config.yaml:30: foo: unknown key"}
	long := "https://registry-with-a-long-name.eu-central.internal.example:8443/artifactory/api/npm/the-company-npm-remote"
	s.Sites[0].Outage, s.Sites[0].Since = true, before(192*time.Second)
	s.Sites[0].Answers["stale-error"] = 1234
	s.Sites[0].Changes.Live, s.Sites[0].Changes.Why = false, "the server answers 502"
	s.Sites[0].Masters = []origin.MasterStatus{
		{N: 0, URL: long, Role: "primary", State: "drained", Drained: true, Since: before(26 * time.Hour), InFlight: 1, LatencyMS: 1234.5,
			Probe: &origin.ProbeStatus{At: before(time.Minute), Result: "ok", Age: 61.5, Stalled: true}},
		{N: 1, URL: "https://b.example", Role: "replica", State: "out", Why: "3 probes of /left-pad/latest timed out after 2s", Since: before(time.Hour + 5*time.Second),
			Probe: &origin.ProbeStatus{At: before(time.Second), Result: "timed out after 2s"}},
		{N: 2, URL: "https://c.example", Role: "spare", State: "suspect", Why: "a request was refused a connection", Since: before(time.Second), InFlight: 64, Waiting: 9,
			Probe: &origin.ProbeStatus{}},
	}
	s.Sites[0].Files = []origin.MasterStatus{{N: 3, URL: "https://f.example", Role: "primary", State: "recovering", Share: 0.55, Why: "5 requests in a row were cut mid-body"}}
	s.Sites[0].Scopes = []Scope{{Name: "@acme", Pools: Pools{Masters: []origin.MasterStatus{{N: 4, URL: "https://acme.example", Role: "primary", State: "healthy"}}}}}
	s.Certificates = []tls.Status{
		{Name: "npm.example", Names: []string{"npm.example", "www.npm.example"}, NotBefore: before(90 * 24 * time.Hour), NotAfter: before(49 * time.Hour)},
		{Name: "a.example", Names: []string{"a.example"}, NotBefore: before(360 * 24 * time.Hour), NotAfter: at.Add(5 * 24 * time.Hour)},
		{Name: "b.example", Names: []string{"b.example"}, NotBefore: before(340 * 24 * time.Hour), NotAfter: at.Add(25 * 24 * time.Hour)},
		{Name: "c.example", ACME: true, Failures: 3, Failed: before(time.Minute), Why: "urn:ietf:params:acme:error:dns"},
	}
	s.Cache.DiskPaused, s.Cache.ScanPercent, s.Cache.Corrupt, s.Cache.Quarantined = true, 40, 1, 1
	return s
}

const quietReport = `ready, up 3d 3h, configuration config.yaml read 10m ago, version v1.2.3

all is well

site npm, npm, at https://npm.example
  1000 reads since the start, 94.1 % from the store, 9 failed
  change feed live for 1h, heard 2s ago, 1 change

  masters
  N  ROLE     STATE    BUSY  FIRST BYTE  PROBE      URL
  0  primary  healthy  12    23 ms       ok 3s ago  https://a.example
  1  replica  healthy  0     -           ok 3s ago  https://b.example

certificates
  npm.example expires in 89 days, on 2027-02-19

cache
  memory   100.0 MiB of 256.0 MiB in 1 object
  disk     5.0 GiB of 10.0 GiB in 12345 objects, 17 evicted
  fetches  2 under way
`

const nightReport = `NOT READY, up 3d 3h, configuration config.yaml read 10m ago, version v1.2.3

wrong
  !! not ready: draining
  !! site npm: outage for 3m 12s: every master is out; clients get what is stored, and 503 for the
     rest
  !! site npm: the primary is drained: writes (login, publish) are answered 503
  !! site npm: replica 1, b.example, is out for 1h: 3 probes of /left-pad/latest timed out after 2s
  !! the certificate for npm.example, www.npm.example has expired 2 days ago, on 2026-11-20
  !! the certificate for c.example has not been obtained yet; the last attempt failed 60 seconds
     ago: urn:ietf:params:acme:error:dns
   ! site npm: primary 0, registry-with-a-long-name.eu-central.internal.example:8443, is not probed:
     the probe loop was last seen 1m 2s ago; this is a fault of the edge, restart it
   ! site npm: spare 2, c.example, is suspect, and asked last: a request was refused a connection
   ! site npm: spare 2, c.example, is busy: 9 requests wait for room at it
   ! site npm: no primary or replica is left, spares serve
   ! site npm: the change feed has not been live for 1h, and packuments have their usual lifetimes:
     the server answers 502
   ! the certificate for a.example expires in 5 days, on 2026-11-27
   ! the last reload was refused 5m ago, and the configuration from before runs on: config.yaml:12:
     limits.rate: "x" is not a number; config.yaml:30: foo: unknown key
   ! the disk tier is paused: nothing is written to it, for it is full or failing; what it holds is
     served
   - site npm: primary 0, registry-with-a-long-name.eu-central.internal.example:8443, was drained by
     an operator 1d 2h ago, with 1 request under way
   - site npm, files: primary 3, f.example, is recovering, at 55 % of its share; it was out: 5
     requests in a row were cut mid-body
   - the certificate for b.example expires in 25 days, on 2026-12-17
   - a scan of the disk tier is under way, 40 % done: its figures below are not complete
   - 1 cache file kept aside in quarantine/ after a failed check

site npm, npm, at https://npm.example
  2234 reads since the start, 97.4 % from the store, 1234 stale because no master answered, 9 failed

  masters
  N  ROLE     STATE          BUSY  FIRST BYTE  PROBE          URL
  0  primary  drained 1d 2h  1     1234 ms     STALLED        https://registry-with-a-l…y-npm-remote
  1  replica  out 1h         0     -           failed 1s ago  https://b.example
  2  spare    suspect        64    -           not yet        https://c.example

  masters for files
  N  ROLE     STATE            BUSY  FIRST BYTE  PROBE  URL
  3  primary  recovering 55 %  0     -           none   https://f.example

  masters of @acme
  N  ROLE     STATE    BUSY  FIRST BYTE  PROBE  URL
  4  primary  healthy  0     -           none   https://acme.example

certificates
  npm.example, www.npm.example has expired 2 days ago, on 2026-11-20
  a.example expires in 5 days, on 2026-11-27
  b.example expires in 25 days, on 2026-12-17
  c.example has not been obtained yet; the last attempt failed 60 seconds ago:
  urn:ietf:params:acme:error:dns

cache
  memory   100.0 MiB of 256.0 MiB in 1 object
  disk     5.0 GiB of 10.0 GiB in 12345 objects, 17 evicted, 1 damaged file
  fetches  2 under way
`

func TestText(t *testing.T) {
	for _, tt := range []struct {
		name   string
		doc    *Status
		golden string
	}{{"quiet", quietStatus(), quietReport}, {"night", nightStatus(), nightReport}} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := json.Marshal(tt.doc) // as the admin listener does
			if err != nil {
				t.Fatal(err)
			}
			doc, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := doc.Text(); got != tt.golden {
				t.Errorf("got\n%s\nwant\n%s", got, tt.golden)
			}
		})
	}
}

func TestTextSaysAllIsWellBesideNotes(t *testing.T) {
	s := quietStatus()
	s.Sites[0].Masters[1].State, s.Sites[0].Masters[1].Drained, s.Sites[0].Masters[1].Since = "drained", true, before(time.Minute)
	const want = "\nall is well, but\n   - site npm: replica 1, b.example, was drained by an operator 1m ago, with 0 requests under way\n\n"
	if got := s.Text(); !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []*Status{quietStatus(), nightStatus()} {
		text, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"ready": false, "why": "\u001b[31m", "sites": [{"name": "\r\n", "masters": [{"url": "\u0000", "role": "a b", "state": "out"}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := Parse(text)
		if err != nil {
			return
		}
		got := doc.Text()
		if got == "" || strings.ContainsAny(got, "\x1b\r\x00") || !utf8.ValidString(got) {
			t.Errorf("prints %q", got)
		}
		for line := range strings.Lines(got) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > lineWidth {
				t.Errorf("a line of %d columns: %q", n, line)
			}
		}
	})
}

func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{{"abc", 3, "abc"}, {"abcdefghij", 7, "abcd…ij"}, {"äöüäöüäöü", 4, "äö…ü"}, {"abc", 2, "a…"}} {
		if got := Shorten(tt.text, tt.width); got != tt.want {
			t.Errorf("Shorten(%q, %d) = %q; want %q", tt.text, tt.width, got, tt.want)
		}
	}
}
