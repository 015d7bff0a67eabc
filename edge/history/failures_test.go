package history

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFailuresOfOneReasonAreOne(t *testing.T) {
	var f Failures
	for i := range 1000 {
		f.Add(Failure{Site: "npm", Status: 503, Reason: "no answer", Request: fmt.Sprintf("GET /p%d", i), Last: start.Add(time.Duration(i) * time.Second)})
	}
	f.Add(Failure{Site: "npm", Status: 504, Reason: "no answer", Request: "GET /x", Last: start.Add(time.Minute)})
	got := f.List(start)
	if len(got) != 2 || got[0].Count != 1000 || got[0].Request != "GET /p999" || !got[0].First.Equal(start) || got[1].Status != 504 {
		t.Errorf("%+v", got)
	}
	if got := f.List(start.Add(5 * time.Minute)); len(got) != 1 {
		t.Errorf("%d failures since then; want 1", len(got))
	}
}

func TestFailuresAreBounded(t *testing.T) {
	var f Failures
	detail := strings.Repeat("x", 1<<20)
	for i := range 10 * maxFailures {
		f.Add(Failure{Reason: fmt.Sprint(i, strings.Repeat("é", maxText)), Detail: detail, Last: start.Add(time.Duration(i))})
	}
	got := f.List(start)
	if len(got) != maxFailures || !strings.HasPrefix(got[0].Reason, fmt.Sprint(10*maxFailures-1)) {
		t.Fatalf("%d failures, the last %.40q", len(got), got[0].Reason)
	}
	if n := len(got[0].Detail); n > maxText+len("…") {
		t.Errorf("a text of %d bytes is kept", n)
	}
	if !strings.HasSuffix(got[0].Reason, "é…") {
		t.Errorf("a rune was cut: %q", got[0].Reason[len(got[0].Reason)-8:])
	}
}
