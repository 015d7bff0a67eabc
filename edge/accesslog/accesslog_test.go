package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// written is the line of a request in a form of the log.
func written(t *testing.T, form func(*Writer) *Log, r *Record, took time.Duration) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	form(w).Write(r, took)
	w.Flush(t.Context())
	return out.String()
}

func sampleRecord() *Record {
	return &Record{
		Begun: time.Date(2026, 11, 27, 3, 4, 5, 0, time.UTC), Client: netip.MustParseAddr("192.0.2.7"), Site: "npm",
		Outcome: "hit", Status: 200, Sent: 1234,
		Line: Line{
			Method: "GET", Host: "edge.example", Path: "/a%22b", Query: "x=1", Protocol: "HTTP/1.1", Endpoint: "packument",
		},
		Agent: []byte("npm/11 \"\x01\xff é"), ID: "abc-1",
	}
}

func TestAccessLogForms(t *testing.T) {
	r := sampleRecord()
	const took = 1500*time.Microsecond + 400
	const asJSON = `{"time":"2026-11-27T03:04:05.001500Z","level":"INFO","msg":"request","id":"abc-1","client":"192.0.2.7","method":"GET",` +
		`"host":"edge.example","path":"/a%22b","query":"x=1","protocol":"HTTP/1.1","outcome":"hit","site":"npm","what":"packument",` +
		`"status":200,"bytes":1234,"seconds":0.0015,"agent":"npm/11 \"\u0001\ufffd é"}` + "\n"
	if got := written(t, NewJSON, r, took); got != asJSON {
		t.Errorf("JSON is\n%s\nwant\n%s", got, asJSON)
	}
	r.TLS, r.Trace = "1.3", "4bf92f3577b34da6a3ce929d0e0e4736"
	if got := written(t, NewJSON, r, took); !strings.Contains(got, `"id":"abc-1","trace":"4bf92f3577b34da6a3ce929d0e0e4736","client"`) || !strings.Contains(got, `"what":"packument","tls":"1.3","status"`) {
		t.Errorf("JSON of a traced request inside TLS is %s", got)
	}
	r.TLS, r.Trace = "", ""
	r.Source, r.Waited = Source{"http://master.example", 304}, 1200*time.Microsecond
	const where = `"seconds":0.0015,"master":"http://master.example","origin_status":304,"first_byte":0.0012,"agent"`
	if got := written(t, NewJSON, r, took); !strings.Contains(got, where) {
		t.Errorf("JSON of an answer of a master is %s", got)
	}
	const asCommon = `192.0.2.7 - - [27/Nov/2026:03:04:05 +0000] "GET /a%22b?x=1 HTTP/1.1" 200 1234 hit 0.0015 abc-1 "-"` + "\n"
	if got := written(t, NewCommon, r, took); got != asCommon {
		t.Errorf("common is\n%s\nwant\n%s", got, asCommon)
	}
	r.Err, r.Outcome, r.Client = errors.New("no \"master\"\nanswers"), "error", netip.Addr{}
	if got := written(t, NewCommon, r, took); !strings.HasPrefix(got, "- - - [") || !strings.HasSuffix(got, `error 0.0015 abc-1 "no \"master\"\u000aanswers"`+"\n") {
		t.Errorf("common of a failure is %s", got)
	}
}

// The lines of a repeated answer are those that it would have without its known part.
func TestAKnownPartChangesNoLine(t *testing.T) {
	for _, form := range []func(*Writer) *Log{NewJSON, NewCommon} {
		r := sampleRecord()
		want := written(t, form, r, time.Second)
		r.Known, r.Line, r.Site = form(NewWriter(io.Discard)).Know(r), Line{}, ""
		if got := written(t, form, r, time.Second); got != want {
			t.Errorf("with a known part\n%s\nwithout\n%s", got, want)
		}
	}
}

func TestSecondsAreAppended(t *testing.T) {
	for took, want := range map[time.Duration]string{
		0: "0", 400: "0", 500: "0.000001", time.Microsecond: "0.000001", 1500 * time.Microsecond: "0.0015", time.Second: "1", 90*time.Second + 20*time.Millisecond: "90.02",
		-1500 * time.Microsecond: "-0.0015", time.Second - 1: "1",
	} {
		if got := string(appendSeconds(nil, took)); got != want {
			t.Errorf("%v is %s; want %s", took, got, want)
		}
	}
}

// The second that a clock remembers is that of its place.
func TestAClockTellsEachSecond(t *testing.T) {
	c := &newLog(nil, false).clock
	begun := time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{begun, "2026-12-31T23:59:59Z"}, {begun, "2026-12-31T23:59:59Z"}, {begun.Add(1), "2027-01-01T00:00:00Z"}, {begun, "2026-12-31T23:59:59Z"},
		{begun.In(time.FixedZone("", -9*3600)), "2026-12-31T14:59:59-09:00"},
	} {
		if s := c.second(tt.at); s.text+s.zone != tt.want {
			t.Errorf("%s is %s%s; want %s", tt.at, s.text, s.zone, tt.want)
		}
	}
}

func TestALineAllocatesNothing(t *testing.T) {
	if edgetest.Race {
		t.Skip("a pool forgets on purpose under the race detector")
	}
	for _, form := range []func(*Writer) *Log{NewJSON, NewCommon} {
		l, r := form(NewWriter(io.Discard)), sampleRecord()
		r.Known = l.Know(r)
		if n := testing.AllocsPerRun(100, func() { l.Write(r, time.Millisecond) }); n >= 1 {
			t.Errorf("%v allocations", n)
		}
		l.to.Flush(t.Context())
	}
}

func TestARequestWithoutAnIDGetsOne(t *testing.T) {
	r := sampleRecord()
	r.ID = ""
	ids := map[string]bool{}
	for range 100 {
		var fields struct{ ID string }
		if err := json.Unmarshal([]byte(written(t, NewJSON, r, 0)), &fields); err != nil || len(fields.ID) != 16 {
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
		if err := json.Unmarshal(append(appendEscaped([]byte{'"'}, text), '"'), &got); err != nil {
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
	w := NewWriter(p)
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
	for name, form := range map[string]func(*Writer) *Log{"json": NewJSON, "common": NewCommon} {
		for _, known := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s,known=%t", name, known), func(b *testing.B) {
				l, r := form(NewWriter(io.Discard)), sampleRecord()
				r.Agent = []byte("npm/11.6.2 node/v24.12.0 linux x64 workspaces/false")
				if known {
					r.Known = l.Know(r)
				}
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						l.Write(r, time.Millisecond)
					}
				})
			})
		}
	}
}

// A member that an operator finds in a line has a row in the documents.
func TestEachMemberIsDocumented(t *testing.T) {
	r := sampleRecord()
	r.Source, r.Err, r.TLS, r.Trace = Source{"http://master.example", 304}, errors.New("late"), "1.3", "4bf92f3577b34da6a3ce929d0e0e4736"
	var members map[string]any
	if err := json.Unmarshal([]byte(written(t, NewJSON, r, time.Second)), &members); err != nil || len(members) < 20 {
		t.Fatalf("%v, %v", members, err)
	}
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(string(doc), "| Access log, JSON |")
	rows, _, _ = strings.Cut(rows, "`access: common`")
	for name := range members {
		if !strings.Contains(rows, "`"+name+"`") {
			t.Errorf("docs/operations.md does not explain %s", name)
		}
	}
}
