package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pkgedge/edge/history"
	"pkgedge/edge/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sourceOf is a source with an hour of its own, and one certain status.
func sourceOf(is *report.Status) Source {
	return Source{
		Status: func() *report.Status { return is }, Reloads: func() []Reload { return nil }, Memory: func() int64 { return 1 << 20 },
		Hour: history.NewHour(nil, time.Now()), Asked: new(history.Top), Missed: new(history.Top), Sent: new(history.Top), Failures: new(history.Failures),
	}
}

// reader is a browser that reads the stream until it is cut.
type reader struct {
	header http.Header
	status int
	mu     sync.Mutex
	got    bytes.Buffer
	fails  error // of a write, when set
}

func (r *reader) Header() http.Header              { return r.header }
func (r *reader) WriteHeader(status int)           { r.status = status }
func (r *reader) Flush()                           {}
func (r *reader) SetWriteDeadline(time.Time) error { return nil }
func (r *reader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fails != nil {
		return 0, r.fails
	}
	return r.got.Write(p)
}

// take returns the events that have come since the last call, by name.
func (r *reader) take(t *testing.T) (names string, data map[string]map[string]any) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	data = make(map[string]map[string]any)
	for _, block := range strings.Split(strings.TrimSpace(r.got.String()), "\n\n") {
		name, text, ok := strings.Cut(strings.TrimPrefix(block, "event: "), "\ndata: ")
		if !ok {
			continue // a comment, or the time to come back
		}
		var is map[string]any
		if err := json.Unmarshal([]byte(text), &is); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		names += name + " "
		data[name] = is
	}
	r.got.Reset()
	return strings.TrimSpace(names), data
}

// open opens a stream. left is closed at its end.
func open(ctx context.Context, e *Events) (r *reader, left chan struct{}) {
	r, left = &reader{header: make(http.Header)}, make(chan struct{})
	go func() {
		defer close(left)
		e.ServeHTTP(r, httptest.NewRequestWithContext(ctx, "GET", "/events", nil))
	}()
	synctest.Wait()
	return r, left
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAStreamTellsTheStateAndTheHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf(&report.Status{Ready: false, Why: "draining"})
		s.Hour.Add(time.Now().Add(history.Step), history.Totals{Requests: 7})
		s.Failures.Add(history.Failure{Status: 503, Reason: "bad\x1b[31m", Last: time.Now()})
		s.Asked.Count("npm", "left-pad", 1, time.Now())
		e := NewEvents(s)
		ctx, leave := context.WithCancel(t.Context())
		r, left := open(ctx, e)
		if r.header.Get("Content-Type") != "text/event-stream" || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", r.header)
		}
		if !strings.HasPrefix(r.got.String(), "retry: 2000\n\n") {
			t.Errorf("the stream begins with %.40q", r.got.String())
		}
		names, data := r.take(t)
		if names != "status hour" {
			t.Fatalf("at first %q", names)
		}
		problems, _ := json.Marshal(data["status"]["problems"])
		if want := `{"mark":"!!","text":"not ready: draining"}`; !strings.HasPrefix(string(problems), "["+want) {
			t.Errorf("problems %s; want %s, as edge status has them", problems, want)
		}
		state, _ := json.Marshal(data["status"])
		for _, want := range []string{`"reason":"bad?[31m"`, `"name":"left-pad"`, `"verdict":"wrong"`, `"reloads":[]`, `"certificates":[]`} {
			if !bytes.Contains(state, []byte(want)) {
				t.Errorf("the state lacks %s: %s", want, state)
			}
		}
		if n := data["hour"]["requests"].([]any); len(n) != 1 || n[0] != 7.0 {
			t.Errorf("the hour has requests %v", n)
		}
		time.Sleep(every)
		synctest.Wait()
		if names, _ := r.take(t); names != "status" {
			t.Errorf("without a sample %q", names)
		}
		s.Hour.Add(time.Now(), history.Totals{Requests: 9})
		time.Sleep(every)
		synctest.Wait()
		if names, data := r.take(t); names != "status hour" || len(data["hour"]["requests"].([]any)) != 1 {
			t.Errorf("with a new sample %q %v", names, data["hour"])
		}
		leave()
		<-left
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEvents(sourceOf(&report.Status{Ready: true}))
		ctx, leave := context.WithCancel(t.Context())
		first, left := open(ctx, e)
		for range MaxStreams - 1 {
			open(t.Context(), e)
		}
		refused, gone := open(t.Context(), e)
		if !closed(gone) || refused.status != http.StatusServiceUnavailable || refused.header.Get("Retry-After") == "" {
			t.Errorf("one too many is answered %d %v", refused.status, refused.header)
		}
		if first.status != http.StatusOK {
			t.Errorf("the first is answered %d", first.status)
		}
		leave()
		<-left
		if again, gone := open(t.Context(), e); closed(gone) || again.status != http.StatusOK {
			t.Error("the place of one that has left is not free")
		}
		e.End()
		synctest.Wait()
	})
}

func TestStreamsEndWithTheEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEvents(sourceOf(&report.Status{Ready: true}))
		r, left := open(t.Context(), e)
		r.take(t)
		e.End()
		e.End()
		<-left
		if names, _ := r.take(t); names != "end" {
			t.Errorf("at the end %q", names)
		}
		late, left := open(t.Context(), e)
		<-left
		if names, _ := late.take(t); names != "status hour end" {
			t.Errorf("after it %q", names)
		}
	})
}

func TestABrowserThatDoesNotReadIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEvents(sourceOf(&report.Status{Ready: true}))
		r := &reader{header: make(http.Header), fails: errors.Join(io.ErrClosedPipe)}
		e.ServeHTTP(r, httptest.NewRequestWithContext(t.Context(), "GET", "/events", nil)) // returns
		if len(e.streams) != 0 {
			t.Error("its place is not free")
		}
	})
}
