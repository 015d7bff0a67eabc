package fetch

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

// memo fetches the packument of the words, and returns its memo.
func (b *behind) memo(t *testing.T) []byte {
	t.Helper()
	r, err := b.get(t, aPackument)
	if err != nil {
		t.Fatal(err)
	}
	return r.Find(t, kind.Summary, "")
}

// again fetches it as one that has that memo stored.
func (b *behind) again(t *testing.T, memo []byte) (*origintest.Recorder, error) {
	t.Helper()
	return b.ask(t, pool.Request{Route: b.route(aPackument), Summary: memo})
}

func versionsOf(t *testing.T, r *origintest.Recorder) int {
	t.Helper()
	return len(decode(t, r.Find(t, "full", ""))["versions"].(map[string]any))
}

// A replica that lags does not take back a stored version, not even alone.
func TestLaggingMasterReplacesNothing(t *testing.T) {
	w := origintest.NewTwo(t)
	w.B.Lag()
	if err := w.Store.AddPackage("edge-sample-words", sample.Version{Number: "3.0.0"}); err != nil {
		t.Fatal(err)
	}
	memo := newBehind(t, w.URLs[:1]).memo(t)
	both := newBehind(t, []string{w.URLs[1], w.URLs[0]}) // even when the one that lags is the primary
	r, err := both.again(t, memo)
	if err != nil || versionsOf(t, r) != 5 {
		t.Fatalf("%v; reports %q", err, both.reported())
	}
	if !slices.Contains(both.reported(), "A older") {
		t.Errorf("reports %q; want A older", both.reported())
	}
	alone := newBehind(t, w.URLs[1:])
	if r, err := alone.again(t, memo); !errors.Is(err, kind.ErrOlder) || r.Responds != 0 {
		t.Errorf("alone: %d responses, %v", r.Responds, err)
	}
	w.B.CatchUp()
	if r, err := alone.again(t, memo); err != nil || versionsOf(t, r) != 5 {
		t.Errorf("when it has caught up: %v", err)
	}
}

const (
	threeVersions = `{"name":"edge-sample-words","_rev":"1-x","time":{"modified":"2034-01-01T00:00:00Z"},"versions":{"1.0.0":{},"1.1.0":{},"2.0.0-beta.1":{}}}`
	noVersions    = `{"name":"edge-sample-words","_rev":"1-x","versions":{}}`
	oldDate       = `{"name":"edge-sample-words","_rev":"1-x","time":{"modified":"2014-01-01T00:00:00Z"},"versions":{"1.0.0":{},"1.1.0":{},"2.0.0-beta.1":{}}}`
)

// A version disappears when the primary says so, or two masters do; and
// when it was most of it, only where the document is the newer one.
func TestVersionsDisappearOnPurpose(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		primary, replica1, second string // their documents, "" for the words as they are, "down" for nothing
		versions                  int    // in the accepted document, -1 for none
	}{
		{"the primary says so", threeVersions, "", "", 3},
		{"a replica says so, and the primary does not", "", threeVersions, threeVersions, 4},
		{"a replica says so alone", "down", threeVersions, "down", -1},
		{"two replicas say so", "down", threeVersions, threeVersions, 3},
		{"a replica says so, another does not", "down", threeVersions, "", 4},
		{"the primary has lost most", noVersions, "", "", 4},
		{"all have lost most", noVersions, noVersions, noVersions, -1},
		{"all are older", oldDate, oldDate, oldDate, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			c, cS := origintest.StartMaster(t, w.Store)
			memo := newBehind(t, w.URLs[:1]).memo(t)
			for i, m := range []*faults.Master{w.A, w.B, c} {
				switch says := []string{tt.primary, tt.replica1, tt.second}[i]; says {
				case "":
				case "down":
					m.Break(faults.Any, faults.Status(503))
				default:
					m.Break(faults.Any, faults.Replace([]byte(says)))
				}
			}
			for range 3 { // whichever is asked first
				b := newBehind(t, []string{w.URLs[0], w.URLs[1], cS.URL()})
				r, err := b.again(t, memo)
				if tt.name == "the primary has lost most" && !slices.Contains(b.reported(), "A lost") {
					t.Errorf("reports %q; want A lost", b.reported())
				}
				switch {
				case tt.versions < 0 && (err == nil || r.Responds != 0):
					t.Errorf("%d responses, %v; reports %q", r.Responds, err, b.reported())
				case tt.versions >= 0 && err != nil:
					t.Errorf("%v; reports %q", err, b.reported())
				case tt.versions >= 0 && versionsOf(t, r) != tt.versions && versionsOf(t, r) != 4:
					t.Errorf("%d versions; want %d", versionsOf(t, r), tt.versions)
				}
			}
		})
	}
}

// Without a memo there is nothing to be older than.
func TestFirstPackumentIsTaken(t *testing.T) {
	w := origintest.NewTwo(t)
	w.A.Break(faults.Any, faults.Replace([]byte(noVersions)))
	if r, err := newBehind(t, w.URLs[:1]).get(t, aPackument); err != nil || r.Status != http.StatusOK {
		t.Error(err)
	}
}
