package sample_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pkgedge/origin/sample/faults"
)

func TestRecordsHoldTheRequest(t *testing.T) {
	m, s := serve(t, samples(t))
	body := strings.Repeat("b", 2<<20)
	send(t, client(t), "POST", s.URL()+"/-/npm/v1/security/advisories/bulk?a=1", body, "X-Asked: yes", abbreviated)
	all := m.Requests()
	if len(all) != 1 {
		t.Fatalf("%d records", len(all))
	}
	r := all[0]
	if r.Method != "POST" || r.Path != "/-/npm/v1/security/advisories/bulk" || r.Query != "a=1" ||
		r.Raw != "/registry/-/npm/v1/security/advisories/bulk?a=1" || r.Variant != "abbreviated" ||
		r.Header.Get("X-Asked") != "yes" || r.Host == "" || r.Remote == "" || len(r.Body) != 1<<20 {
		r.Body = nil
		t.Errorf("record is %+v", r)
	}
}

// upload sends a master n bytes, without a network, which would take far longer, and
// returns the status.
func upload(m *faults.Master, n int64) int {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest("POST", "/-/npm/v1/security/advisories/bulk", io.LimitReader(anything{}, n)))
	return w.Code
}

// anything is bytes without end.
type anything struct{}

func (anything) Read(p []byte) (int, error) { return len(p), nil }

func TestArrivedSeesRequestsBeforeAndAfter(t *testing.T) {
	m, s := serve(t, samples(t))
	c := client(t)
	ping, two := faults.Path("/-/ping"), m.ArrivedTimes(2, faults.Path("/-/ping"))
	open := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return false
		default:
			return true
		}
	}
	send(t, c, "GET", s.URL()+"/-/ping", "")
	send(t, c, "GET", s.URL()+"/-/whoami", "")
	if !open(two) || open(m.Arrived(ping)) || !open(m.ArrivedTimes(2, ping)) {
		t.Error("one ping was not told as one")
	}
	send(t, c, "GET", s.URL()+"/-/ping", "")
	if open(two) || open(m.ArrivedTimes(2, ping)) {
		t.Error("the second ping was not told")
	}
	m.Forget()
	if len(m.Requests()) != 0 || !open(m.Arrived(ping)) {
		t.Error("Forget left something")
	}
}

func TestTheLogIsBounded(t *testing.T) {
	m := faults.NewMaster(samples(t))
	for range 40 {
		if status := upload(m, 1<<20); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	if n := m.Count(faults.Any); n < 16 || n > 32 {
		t.Errorf("%d MiB of bodies are kept", n)
	}
}
