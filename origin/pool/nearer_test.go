package pool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
)

// near is a nearer source that is a function.
type near func(context.Context, *Request) *Found

func (n near) Ask(ctx context.Context, r *Request) *Found { return n(ctx, r) }

// found is an answer of a master, as a nearer source hands it on.
func found(status int, master, body string, used func(*health.Blame)) *Found {
	return &Found{
		Response: &http.Response{StatusCode: status, Header: http.Header{"Date": {"Mon, 02 Jan 2006 15:04:05 GMT"}}, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader([]byte(body)))},
		Master:   master, Ago: time.Minute, Used: used,
	}
}

func TestNearerSourcesAreAskedFirst(t *testing.T) {
	var used []*health.Blame
	var ages []time.Duration
	var asked []string
	var observed []string
	note := func(b *health.Blame) { used = append(used, b) }
	wrong := &health.Blame{Word: "digest", Did: "answered with a wrong file", Err: errors.New("wrong")}
	for _, tt := range []struct {
		name     string
		sources  []*Found
		refuse   string // the body that is refused
		from     string // the host of the master whose answer is used
		used     []*health.Blame
		ages     []time.Duration
		observed []string
	}{
		{"the first one has it", []*Found{found(200, "https://b.example", "good", note)}, "", "b.example", []*health.Blame{nil}, []time.Duration{time.Minute}, nil},
		{"nobody has it", []*Found{nil, nil}, "", "a.example", nil, nil, []string{"https://a.example 200"}},
		{"the second one has it", []*Found{nil, found(304, "https://a.example", "", note)}, "", "a.example", []*health.Blame{nil}, []time.Duration{time.Minute}, nil},
		{"the first one's is no good", []*Found{found(200, "https://a.example", "bad", note), nil}, "bad", "a.example", []*health.Blame{wrong}, []time.Duration{time.Minute, 0}, []string{"https://a.example 200"}},
		{"the master is none of ours", []*Found{found(200, "https://x.example", "good", note)}, "", "a.example", []*health.Blame{{}}, nil, []string{"https://a.example 200"}},
	} {
		used, ages, asked, observed = nil, nil, nil, nil
		p := poolOf("pr", func(c *Config) {
			c.Observe = func(master, result string) { observed = append(observed, master+" "+result) }
			for _, f := range tt.sources {
				c.Nearer = append(c.Nearer, near(func(context.Context, *Request) *Found { return f }))
			}
		})
		for _, m := range p.Masters() {
			m.Client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.Host)
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			})
		}
		from := ""
		r := Request{Route: kind.Route{Class: kind.File, Endpoint: "tarball", Key: "t", Path: "/t"}, Received: func(ago time.Duration) { ages = append(ages, ago) }}
		err := p.Each(t.Context(), r, func(_ context.Context, m *health.Master, r *http.Response) (Verdict, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return Next, err
			}
			if tt.refuse != "" && string(body) == tt.refuse {
				p.Observe(m, "odd")
				if !p.BadCopy(m, "t") {
					t.Errorf("%s: it is no news", tt.name)
				}
				return Next, wrong
			}
			from = m.Base.Host
			return Accepted, nil
		})
		if err != nil || from != tt.from || !slices.Equal(ages, tt.ages) || !slices.Equal(observed, tt.observed) {
			t.Errorf("%s: from %s, ages %v, observed %v, %v", tt.name, from, ages, observed, err)
		}
		if !slices.EqualFunc(used, tt.used, func(a, b *health.Blame) bool { return (a == nil) == (b == nil) && (a == nil || a.Did == b.Did) }) {
			t.Errorf("%s: used %v", tt.name, used)
		}
		if p.badCopies.Some.Load() {
			t.Errorf("%s: the master is said to have a bad copy", tt.name)
		}
	}
}

// A nearer source is asked for things that everybody may have, and never where the primary's word
// counts.
func TestWhatIsNotShared(t *testing.T) {
	file := kind.Route{Class: kind.File, Key: "t", Group: "g", Path: "/t"}
	for _, tt := range []struct {
		name   string
		change func(*Request, *Config)
		want   bool
	}{
		{"a file", func(*Request, *Config) {}, true},
		{"the rest of one", func(r *Request, _ *Config) { r.Range = "bytes=7-" }, true},
		{"a document", func(r *Request, _ *Config) { r.Route.Class = kind.Metadata }, true},
		{"a write to another package", func(_ *Request, c *Config) { c.Writes.Add("other", time.Now()) }, true},
		{"after a write", func(_ *Request, c *Config) { c.Writes.Add("g", time.Now()) }, true},
		{"after a write of which nothing is known", func(_ *Request, c *Config) { c.Writes.AddUnknown("g", time.Now()) }, false},
		{"the edge's credential", func(_ *Request, c *Config) { c.Credential = "Bearer x" }, false},
		{"a client's credential", func(r *Request, _ *Config) { r.Header = http.Header{"Authorization": {"Bearer x"}} }, false},
		{"a transparent site", func(r *Request, _ *Config) { r.Route.Transparent = true }, false},
		{"a HEAD", func(r *Request, _ *Config) { r.Head = true }, false},
		{"companions", func(r *Request, _ *Config) { r.Route.Companions = []string{"/sig"} }, false},
		{"it was no good", func(r *Request, _ *Config) { r.MastersOnly = true }, false},
		{"what passes", func(r *Request, _ *Config) { r.Route.Class = kind.PassAny }, false},
	} {
		r := Request{Route: file}
		asked := false
		p := poolOf("p", func(c *Config) {
			c.Writes = NewRecentWrites()
			tt.change(&r, c)
			c.Nearer = []Nearer{near(func(context.Context, *Request) *Found {
				asked = true
				return nil
			})}
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = p.askNearer(ctx, &r, nil)
		if asked != tt.want {
			t.Errorf("%s: asked: %v", tt.name, asked)
		}
	}
}

// After a write the primary's answer since then is as good as asking the primary, and no other
// one is.
func TestNearerSourcesAfterAWrite(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name, master string
		purged       time.Time // before the write, or after it
		used         bool
		want         time.Time // since when an answer is asked for
	}{
		{"of the primary", "https://a.example", time.Time{}, true, now},
		{"and a purge before it", "https://a.example", now.Add(-time.Hour), true, now},
		{"and a purge since", "https://a.example", now.Add(time.Hour), true, now.Add(time.Hour)},
		{"of a replica", "https://b.example", time.Time{}, false, now},
	} {
		var asked time.Time
		p := poolOf("pr", func(c *Config) {
			c.Writes = NewRecentWrites()
			c.Writes.Add("g", now.Add(-time.Minute))
			c.Writes.Add("k", now)
			c.Nearer = []Nearer{near(func(_ context.Context, r *Request) *Found {
				asked = r.Purged()
				return found(200, tt.master, "body", func(*health.Blame) {})
			})}
		})
		r := Request{Route: kind.Route{Class: kind.Metadata, Key: "k", Group: "g", Path: "/t"}, Purged: func() time.Time { return tt.purged }}
		done, err := p.askNearer(t.Context(), &r, func(context.Context, *health.Master, *http.Response) (Verdict, error) { return Accepted, nil })
		if err != nil || done != tt.used || !asked.Equal(tt.want) {
			t.Errorf("%s: used: %v, asked for answers since %v, %v", tt.name, done, asked.Sub(now), err)
		}
	}
}
