package fetch

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"pkgedge/origin/origintest"
)

// A document that is odd, or says that there is no such package, is its master's
// answer: no client can put a master out by asking for it. A page of HTML, half a
// document and that of another package are faults.
func TestOnlyFaultsAreBlamed(t *testing.T) {
	const many = 20 // requests, far more than put a master out
	type answer struct {
		path, body string
		status     int // 0 is unavailable
	}
	var answers []answer
	for _, body := range []string{
		`{"name":"n","versions":[]}`, `{"name":"n","versions":{}}`, `{"name":"n","versions":null}`, `{"name":"n"}`, `{"_id":"n","time":{"unpublished":{}}}`,
		`{"name":"n","versions":{"1.0.0":{}},"dist-tags":[]}`, `{"name":"n","versions":{"1.0.0":{}},"dist-tags":{"latest":7}}`, `{"name":"n","versions":{"1.0.0":{}},"time":7}`,
	} {
		answers = append(answers, answer{"/n", body, 200})
	}
	answers = append(answers,
		answer{"/JQuery", `{"name":"jquery","versions":{"1.0.0":{}}}`, 404}, answer{"/jquery", `{"_id":"jQuery","versions":{}}`, 404},
		answer{"/@s/N", `{"name":"@s/n","versions":{}}`, 404}, answer{"/JQuery/latest", `{"name":"jquery","versions":{"1.0.0":{}}}`, 404},
		answer{"/n", `<!DOCTYPE html><title>Welcome</title>`, 0}, answer{"/n", `{"name":"n","versions":{"1.0`, 0}, answer{"/n", `{"name":"m","versions":{}}`, 0},
		answer{"/n", `{"error":"not_found"}`, 0}, answer{"/n", ``, 0}, answer{"/n", `[]`, 0},
	)
	for _, a := range answers {
		for _, masters := range []int{1, 2} {
			t.Run(fmt.Sprintf("%d masters, %s, %.30s", masters, a.path, a.body), func(t *testing.T) {
				var urls []string
				for range masters {
					urls = append(urls, origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, a.body) }))
				}
				b := newBehind(t, urls)
				for range many {
					r, err := b.get(t, a.path)
					switch {
					case a.status == 0 && err == nil:
						t.Fatalf("answered %d", r.Status)
					case a.status != 0 && (err != nil || r.Status != a.status):
						t.Fatalf("%d, %v; want %d", r.Status, err, a.status)
					case a.status == 404 && !strings.HasPrefix(string(r.Body), `{"error":"`):
						t.Fatalf("404 with %q", r.Body)
					}
				}
				blamed := false
				for _, report := range b.reported() {
					blamed = blamed || !strings.HasSuffix(report, " 200") && !strings.HasSuffix(report, " 404")
				}
				if blamed != (a.status == 0) {
					t.Errorf("reports %q", b.reported())
				}
				for _, m := range b.masters.Status().Masters {
					if a.status != 0 && m.State != "healthy" {
						t.Errorf("%s is %s: %s", m.URL, m.State, m.Why)
					}
				}
			})
		}
	}
}

// That a registry ignores case is the word of one master: another one may have the
// package.
func TestAnotherMasterMayHaveTheNameAsItIsWritten(t *testing.T) {
	for _, primary := range []bool{false, true} {
		urls := []string{
			origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"name":"JSONStream","versions":{}}`) }),
			origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"name":"jsonstream","versions":{}}`) }),
		}
		if primary { // its word is final
			urls[0], urls[1] = urls[1], urls[0]
		}
		b := newBehind(t, urls)
		r, err := b.get(t, "/JSONStream")
		if err != nil || (r.Status == 404) != primary {
			t.Errorf("%d, %v, %q", r.Status, err, b.reported())
		}
	}
}
