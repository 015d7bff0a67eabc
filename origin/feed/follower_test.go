package feed

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFirstStartBeginsAtTheEndAndPutsAllInDoubt(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode, opaque bool) {
		d := newDatabase("old", "older")
		d.opaque = opaque
		to := follow(t, mode, d, statePath(t))
		to.want(true)
		to.wantResets(1)
		if got := to.file(); !strings.HasPrefix(got, "2") {
			t.Errorf("stored %s", got)
		}
		d.publish("new")
		time.Sleep(2 * time.Second)
		to.want(true, "new")
		if s := to.Status(); s.Changes != 1 || s.LastChange.IsZero() || !strings.HasPrefix(s.Sequence, "3") || s.Why != "" {
			t.Errorf("%+v", s)
		}
	})
}

// Where neither since=now nor update_seq is known there is nowhere to begin.
func TestAFeedWithoutAnEndIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old", "older")
		d.silent = true
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("since") == "now" { // taken for 0
				fmt.Fprint(w, `{"results":[{"seq":1,"id":"old"}],"last_seq":1}`)
				return true
			}
			return false
		}
		to := follow(t, Poll, d, statePath(t))
		to.want(false)
		to.wantResets(0)
		if why := to.Status().Why; !strings.Contains(why, "cannot find the feed's end") {
			t.Error(why)
		}
	})
}

func TestEndIsFoundWhereTheServersRootTellsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old")
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/" {
				fmt.Fprint(w, `{"db_name":"registry","update_seq":1}`)
				return true
			}
			if !strings.HasSuffix(r.URL.Path, "/_changes") {
				w.WriteHeader(404)
				return true
			}
			return false
		}
		to := follow(t, Poll, d, statePath(t))
		to.want(true)
		to.wantResets(1)
	})
}

func TestRestartGoesOnWhereItStopped(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode, opaque bool) {
		d := newDatabase("old")
		d.opaque = opaque
		path := statePath(t)
		first := follow(t, mode, d, path)
		d.publish("a")
		time.Sleep(2 * time.Second)
		first.want(true, "a")
		first.stop()
		if s := first.Status(); s.Live || s.Why != "stopped" {
			t.Errorf("%+v", s)
		}
		d.publish("b", "c")
		second := follow(t, mode, d, path)
		second.want(true, "b", "c")
		second.wantResets(0)
	})
}

func TestAnotherSequenceIsNotUsed(t *testing.T) {
	for name, s := range map[string]stored{
		"of another feed":    {URL: "http://registry.example/other", Sequence: "1"},
		"for something else": {URL: "http://registry.example/db", For: "else", Sequence: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase("old")
				path := statePath(t)
				if err := save(path, s); err != nil {
					t.Fatal(err)
				}
				to := follow(t, Poll, d, path)
				to.want(true)
				to.wantResets(1)
			})
		})
	}
}

func TestADamagedStateFileBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := statePath(t)
		if err := save(path, stored{URL: "x"}); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"", "{", `{"url":"http://registry.example/db","seq":{}}`, `{"url":"http://registry.example/db"}`} {
			write(t, path, text)
			to := follow(t, Poll, newDatabase("old"), path)
			to.want(true)
			to.wantResets(1)
			to.stop()
			if got := to.file(); got != "1" {
				t.Errorf("%q: stored %s", text, got)
			}
		}
	})
}

// On a stream a change is there at once; a polled one within the interval.
func TestHowSoonAChangeIsTold(t *testing.T) {
	for mode, within := range map[Mode]time.Duration{Couch: 0, Poll: interval + interval/10} {
		synctest.Test(t, func(t *testing.T) {
			d := newDatabase("old")
			to := follow(t, mode, d, statePath(t))
			for i := range 5 {
				d.publish(fmt.Sprint("n", i))
				time.Sleep(within)
				to.want(true, fmt.Sprint("n", i))
			}
		})
	}
}

func TestPollAsksAsThePublicAPIWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old")
		to := follow(t, Poll, d, statePath(t))
		time.Sleep(10 * time.Minute)
		to.want(true)
		all := d.queries("/_changes?")
		for _, q := range all {
			if q != "/db/_changes?limit=10000&since=1" {
				t.Fatalf("asked %s", q)
			}
		}
		if n, want := len(all), int(10*time.Minute/interval); n < want*9/10 || n > want*11/10 {
			t.Errorf("asked %d times in ten minutes; want about %d", n, want)
		}
	})
}

func TestWhereTheServerDoesNotStreamItIsLongpolled(t *testing.T) {
	continuous := func(r *http.Request) bool { return r.URL.Query().Get("feed") == "continuous" }
	for name, before := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"the form is ignored": func(_ http.ResponseWriter, r *http.Request) bool {
			if continuous(r) {
				q := r.URL.Query()
				q.Del("feed")
				r.URL.RawQuery = q.Encode()
			}
			return false
		},
		"the form is refused": func(w http.ResponseWriter, r *http.Request) bool {
			if continuous(r) {
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, `{"error":"bad_request","reason":"feed is not supported"}`)
			}
			return continuous(r)
		},
		"lines are held back": func(_ http.ResponseWriter, r *http.Request) bool {
			if continuous(r) {
				<-r.Context().Done()
			}
			return continuous(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase("old")
				d.before = before
				to := follow(t, Couch, d, statePath(t))
				time.Sleep(2 * time.Minute) // until it has changed over
				to.want(true)
				for i := range 3 {
					d.publish(fmt.Sprint("n", i))
					to.want(true, fmt.Sprint("n", i)) // at once
				}
				if len(d.queries("feed=longpoll", "timeout=10000")) == 0 {
					t.Error("never asked for longpoll")
				}
				if n := len(d.queries("feed=continuous")); n > 2 {
					t.Errorf("asked %d times for what it does not get", n)
				}
				time.Sleep(10 * time.Minute)
				to.want(true)
			})
		})
	}
}

// A server that answers each question at once, with nothing, is not asked in a
// tight loop.
func TestAServerThatEndsEachAnswerAtOnceIsPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old")
		d.before = func(_ http.ResponseWriter, r *http.Request) bool {
			q := r.URL.Query()
			q.Del("feed")
			r.URL.RawQuery = q.Encode()
			return false
		}
		to := follow(t, Couch, d, statePath(t))
		time.Sleep(time.Minute)
		to.want(true)
		if n := len(d.queries()); n < int(time.Minute/interval)*3/4 || n > int(time.Minute/interval)*5/4 {
			t.Errorf("asked %d times in a minute", n)
		}
		d.publish("new")
		time.Sleep(interval + interval/10)
		to.want(true, "new")
	})
}

func TestAStreamThatEndsIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old")
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("feed") != "continuous" {
				return false
			}
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(10 * time.Second):
			case <-r.Context().Done():
			}
			io.WriteString(w, "\n"+`{"last_seq":1,"pending":0}`+"\n")
			return true
		}
		to := follow(t, Couch, d, statePath(t))
		for range 20 {
			time.Sleep(7 * time.Second)
			to.want(true)
		}
		if n := len(d.queries("feed=continuous")); n < 12 || n > 15 {
			t.Errorf("opened %d times", n)
		}
	})
}

// The sequence is stored after its changes are in force, and a change that could
// not be put in force comes again.
func TestChangesComeUntilTheyAreInForce(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode, opaque bool) {
		d := newDatabase("old")
		d.opaque = opaque
		to := prepare(t, mode, d, statePath(t))
		full, tried := errors.New("disk is full"), 0
		to.apply = func([]Change) error { tried++; return full }
		to.run()
		synctest.Wait()
		d.publish("a", "b")
		time.Sleep(10 * time.Second)
		to.want(false)
		to.mu.Lock()
		if tried < 2 || !strings.HasPrefix(to.file(), "1") || !strings.Contains(to.Status().Why, "disk is full") {
			t.Errorf("tried %d times, stored %s: %+v", tried, to.file(), to.Status())
		}
		to.apply = nil
		to.mu.Unlock()
		time.Sleep(20 * time.Second)
		to.want(true, "a", "b")
		if !strings.HasPrefix(to.file(), "3") {
			t.Errorf("stored %s", to.file())
		}
	})
}

// A row that cannot be read is no lost change: its package is taken for deleted, and
// where it has no name, everything is in doubt, once for those that come together.
func TestRowsThatCannotBeReadPutInDoubtWhatTheyMayBeAbout(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode, _ bool) {
		d := newDatabase("old")
		path := statePath(t)
		to := follow(t, mode, d, path)
		to.want(true)
		rows := []string{
			`"id":"a"`,
			`"id":7`,
			`"id":"big","changes":[{"rev":"` + strings.Repeat("x", maxRow) + `"}]`,
			`"id":"_design/app","changes":[]`,
			`"id":"` + strings.Repeat("n", maxName+1) + `"`,
			`"id":"line\nbreak"`,
			`"nothing":1`,
			`"id":"@s/b","deleted":true`,
		}
		for _, row := range rows { // as news
			d.write(row)
			if mode == Couch {
				synctest.Wait() // each is one
			}
		}
		time.Sleep(2 * time.Second)
		to.want(true, "a", "-big", "-@s/b")
		to.wantResets(map[Mode]int{Couch: 3, Poll: 2}[mode]) // with that of the first start
		if s := to.Status(); s.Skipped != 3 || s.Sequence != "9" {
			t.Errorf("%+v", s)
		}
		to.stop()
		for _, row := range rows { // as a backlog
			d.write(row)
		}
		to = follow(t, mode, d, path)
		to.want(true, "a", "-big", "-@s/b")
		to.wantResets(1)
		if s := to.Status(); s.Skipped != 3 || s.Sequence != "17" {
			t.Errorf("%+v", s)
		}
	})
}

func TestABacklogIsReadInPagesAndToldInBatches(t *testing.T) {
	t.Parallel()
	modes(t, func(t *testing.T, mode Mode, opaque bool) {
		d := newDatabase("old")
		d.opaque = opaque
		path := statePath(t)
		to := follow(t, mode, d, path)
		to.stop()
		for i := range 12_000 {
			d.publish(fmt.Sprint("n", i))
		}
		to = prepare(t, mode, d, path)
		largest := 0
		to.apply = func(all []Change) error {
			largest = max(largest, len(all))
			if to.Live() {
				t.Error("live before it is caught up with")
			}
			return nil
		}
		to.run()
		synctest.Wait()
		if n := to.Status().Changes; n != 12_000 || largest != maxBatch || !to.Live() {
			t.Errorf("%d changes, the largest batch %d: %+v", n, largest, to.Status())
		}
	})
}

// The state file is written once in a second at most.
func TestTheSequenceIsStoredSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old")
		to := follow(t, Couch, d, statePath(t))
		time.Sleep(2 * time.Second)
		for i, want := range []string{"2", "2", "2"} {
			d.publish(fmt.Sprint("n", i))
			synctest.Wait()
			if got := to.file(); got != want {
				t.Errorf("after %d changes: stored %s; want %s", i+1, got, want)
			}
		}
		time.Sleep(heartbeat) // the next line is the chance
		synctest.Wait()
		if got := to.file(); got != "4" {
			t.Errorf("after a heartbeat: stored %s", got)
		}
		d.publish("last")
		synctest.Wait()
		d.publish("very last")
		synctest.Wait()
		to.stop()
		if got := to.file(); got != "6" {
			t.Errorf("at the end: stored %s", got)
		}
	})
}
