package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pkgedge/cache"
	"pkgedge/origin/kind"
)

// written is the line of a request in a form of the log.
func written(t *testing.T, form func(*LogWriter) *AccessLog, r *record, took time.Duration) string {
	t.Helper()
	var out bytes.Buffer
	w := NewLogWriter(&out)
	form(w).log(r, took)
	w.Flush(t.Context())
	return out.String()
}

func sampleRecord() *record {
	r := &record{
		begun: time.Date(2026, 11, 27, 3, 4, 5, 0, time.UTC), client: netip.MustParseAddr("192.0.2.7"), site: "npm",
		outcome: cache.Hit, status: 200, sent: 1234,
	}
	request := httptest.NewRequest("GET", "http://edge.example/a%22b?x=1", nil)
	r.line = lineOf(request, &kind.Route{Class: kind.Metadata, Endpoint: "packument"})
	r.agent, r.id = "npm/11 \"\x01\xff é", "abc-1"
	return r
}

func TestAccessLogForms(t *testing.T) {
	r := sampleRecord()
	const took = 1500*time.Microsecond + 400
	const asJSON = `{"time":"2026-11-27T03:04:05.0015004Z","level":"INFO","msg":"request","id":"abc-1","client":"192.0.2.7","method":"GET",` +
		`"host":"edge.example","path":"/a%22b","query":"x=1","protocol":"HTTP/1.1","status":200,"bytes":1234,"seconds":0.0015,"outcome":"hit",` +
		`"site":"npm","what":"packument","agent":"npm/11 \"\u0001\ufffd é"}` + "\n"
	if got := written(t, NewJSONLog, r, took); got != asJSON {
		t.Errorf("JSON is\n%s\nwant\n%s", got, asJSON)
	}
	r.source, r.waited = source{"http://master.example", 304}, 1200*time.Microsecond
	const where = `"what":"packument","master":"http://master.example","origin_status":304,"first_byte":0.0012,"agent"`
	if got := written(t, NewJSONLog, r, took); !strings.Contains(got, where) {
		t.Errorf("JSON of an answer of a master is %s", got)
	}
	const asCommon = `192.0.2.7 - - [27/Nov/2026:03:04:05 +0000] "GET /a%22b?x=1 HTTP/1.1" 200 1234 hit 0.0015 abc-1 "-"` + "\n"
	if got := written(t, NewCommonLog, r, took); got != asCommon {
		t.Errorf("common is\n%s\nwant\n%s", got, asCommon)
	}
	r.err, r.outcome, r.client = errors.New("no \"master\"\nanswers"), cache.Failed, netip.Addr{}
	if got := written(t, NewCommonLog, r, took); !strings.HasPrefix(got, "- - - [") || !strings.HasSuffix(got, `error 0.0015 abc-1 "no \"master\"\u000aanswers"`+"\n") {
		t.Errorf("common of a failure is %s", got)
	}
}

func TestAccessLogHasNoSecretsOfTheQuery(t *testing.T) {
	request := httptest.NewRequest("GET", "/-/v1/done?authId=secret", nil)
	for _, route := range []kind.Route{{Class: kind.PassPrimary}, {Class: kind.PassAny, Log: "/***"}} {
		if l := lineOf(request, &route); l.query != "" {
			t.Errorf("%+v: the query %q is written", route, l.query)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	for sent, want := range map[string]string{
		"a-1": "a-1", "": "", "a b": "", "a\nb": "", `a"b`: "", `a\b`: "", "é": "", strings.Repeat("x", 128): strings.Repeat("x", 128), strings.Repeat("x", 129): "",
	} {
		if got := requestID(sent); got != want {
			t.Errorf("%q is the ID %q; want %q", sent, got, want)
		}
	}
	r := sampleRecord()
	r.id = ""
	ids := map[string]bool{}
	for range 100 {
		var fields struct{ ID string }
		if err := json.Unmarshal([]byte(written(t, NewJSONLog, r, 0)), &fields); err != nil || len(fields.ID) != 16 {
			t.Fatalf("the ID %q, %v", fields.ID, err)
		}
		ids[fields.ID] = true
	}
	if len(ids) < 100 {
		t.Errorf("%d IDs of 100 requests", len(ids))
	}
}

func FuzzQuoted(f *testing.F) {
	for _, seed := range []string{"", "a", "\"\\\x00\x1f\x7f", "\xff\xfe\xe2\x28", "é\u2028�"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got string
		if err := json.Unmarshal(appendQuoted(nil, text), &got); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if want := string([]rune(text)); got != want {
			t.Errorf("%q is read as %q; want %q", text, got, want)
		}
	})
}

// pipe takes nothing until it is opened.
type pipe struct {
	open chan struct{}
	got  bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) {
	<-p.open
	return p.got.Write(b)
}

func TestAFullPipeDropsLinesAndStallsNobody(t *testing.T) {
	p := &pipe{open: make(chan struct{})}
	w := NewLogWriter(p)
	line := append(bytes.Repeat([]byte("x"), 1023), '\n')
	const lines = 4 * maxPending / 1024
	for range lines {
		w.Write(line)
	}
	close(p.open)
	w.Flush(t.Context())
	kept := int64(p.got.Len() / len(line))
	if kept < maxPending/1024 || kept > 2*maxPending/1024+1 || kept+w.Dropped() != lines || p.got.Len()%len(line) != 0 {
		t.Errorf("%d lines kept and %d dropped, of %d", kept, w.Dropped(), lines)
	}
	w.Write([]byte("later\n"))
	w.Flush(t.Context())
	if !strings.HasSuffix(p.got.String(), "\nlater\n") {
		t.Error("a line after that is lost")
	}
}

func BenchmarkAccessLog(b *testing.B) {
	for name, form := range map[string]func(*LogWriter) *AccessLog{"json": NewJSONLog, "common": NewCommonLog} {
		b.Run(name, func(b *testing.B) {
			l, r := form(NewLogWriter(io.Discard)), sampleRecord()
			r.agent = "npm/11.6.2 node/v24.12.0 linux x64 workspaces/false"
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.log(r, time.Millisecond)
				}
			})
		})
	}
}
