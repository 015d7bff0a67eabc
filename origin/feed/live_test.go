package feed

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An answer that ends as it should may be followed by that of another database,
// whose feed echoes our sequence and never says anything.
func TestADatabaseThatWentBackBetweenTwoAnswersIsNoticed(t *testing.T) {
	for _, form := range []string{"continuous", "longpoll"} {
		t.Run(form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase("a", "b", "c")
				d.echo = true
				end := make(chan struct{})
				d.before = func(w http.ResponseWriter, r *http.Request) bool {
					switch r.URL.Query().Get("feed") {
					case "continuous":
						if form == "longpoll" {
							w.WriteHeader(http.StatusNotImplemented)
							return true
						}
						io.WriteString(w, "\n")
					case "longpoll":
					default:
						return false
					}
					http.NewResponseController(w).Flush()
					select {
					case <-end:
					case <-r.Context().Done():
					}
					if form == "longpoll" {
						io.WriteString(w, `{"results":[],`)
					} else {
						io.WriteString(w, `{`)
					}
					io.WriteString(w, `"last_seq":3}`+"\n")
					return true
				}
				to := follow(t, Couch, d, statePath(t))
				to.want(true)
				time.Sleep(heartbeat)
				d.answer(nil)
				d.replace("x")
				close(end)
				time.Sleep(longpoll + 2*shortPause)
				to.want(true)
				to.wantResets(2)
				d.publish("y")
				time.Sleep(2 * time.Second)
				to.want(true, "y")
			})
		})
	}
}

// A proxy may keep a stream open to a database that is no longer the one.
func TestAStreamIsEndedAndTheSequenceComparedAfterAWhile(t *testing.T) {
	for name, news := range map[string]string{"idle": "\n", "busy": `{"seq":3,"id":"c"}` + "\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase("a", "b", "c")
				d.echo = true
				d.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Query().Get("feed") != "continuous" {
						return false
					}
					for r.Context().Err() == nil {
						io.WriteString(w, news)
						http.NewResponseController(w).Flush()
						rest(r.Context(), time.Second)
					}
					return true
				}
				to := follow(t, Couch, d, statePath(t))
				d.replace("x")
				time.Sleep(checkEvery - time.Second)
				to.mu.Lock()
				to.names = nil
				to.mu.Unlock()
				to.wantResets(1)
				time.Sleep(4 * time.Second)
				to.wantResets(2)
				if n := len(d.queries("feed=continuous")); n != 2 {
					t.Errorf("opened %d streams in a little more than five minutes", n)
				}
			})
		})
	}
}

// The database's own sequence is asked for while changes are not heard, so that it
// is waited for no longer than the feed may be silent.
func TestACheckDoesNotKeepASilentFeedLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("a")
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.URL.Query().Get("feed") == "continuous":
				io.WriteString(w, "\n")
				http.NewResponseController(w).Flush()
				rest(r.Context(), time.Minute/10)
			case len(d.queries("feed=continuous")) > 0:
				<-r.Context().Done()
			default:
				return false
			}
			return true
		}
		to := follow(t, Couch, d, statePath(t))
		to.want(true)
		time.Sleep(time.Minute/9 + silence)
		to.want(false)
	})
}

// capped answers pages of so many rows at most, and does not tell how many there
// are to come.
func capped(d *database, limit int) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		var since int
		if _, err := fmt.Sscan(r.URL.Query().Get("since"), &since); err != nil {
			return false
		}
		rows, last, _, _ := d.after(since, limit)
		fmt.Fprintf(w, `{"results":[%s],"last_seq":%d}`, strings.Join(rows, ","), last)
		return true
	}
}

func TestAFeedOfSmallPagesIsNotLiveBeforeItsEnd(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("the end is told: %v", !silent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDatabase("old")
				path := statePath(t)
				follow(t, Poll, d, path).stop()
				for i := range 950 {
					d.publish(fmt.Sprint("n", i))
				}
				pages := capped(d, 100)
				d.before = func(w http.ResponseWriter, r *http.Request) bool {
					if silent && r.URL.Query().Get("since") == "now" {
						w.WriteHeader(http.StatusBadRequest)
						return true
					}
					return pages(w, r)
				}
				d.silent = silent
				to := prepare(t, Poll, d, path)
				to.apply = func([]Change) error {
					if to.Live() {
						t.Error("live before it is caught up with")
					}
					return nil
				}
				to.run()
				synctest.Wait()
				if n := to.Status().Changes; n != 950 || !to.Live() {
					t.Errorf("%d changes: %+v", n, to.Status())
				}
			})
		})
	}
}

// A feed in which there is always something new is live all the same, once it is
// where it ended when that was asked.
func TestABusyFeedIsLiveWhenItHasReachedItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old")
		pages := capped(d, 100)
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/_changes") && r.URL.Query().Get("since") != "now" {
				d.publish("news") // with each page
			}
			return pages(w, r)
		}
		to := follow(t, Poll, d, statePath(t))
		if !to.Live() {
			t.Errorf("%+v", to.Status())
		}
		time.Sleep(10 * time.Second)
		if n := len(d.queries("/_changes")); n > 60 {
			t.Errorf("asked %d times in ten seconds", n)
		}
	})
}

// A server that does not know since= is read once each time, and not for ever.
func TestAPageThatGoesNoFurtherIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old")
		path := statePath(t)
		follow(t, Poll, d, path).stop()
		d.silent = true
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/_changes") {
				io.WriteString(w, `{"results":[{"seq":1,"id":"old"}],"last_seq":1}`)
			}
			return strings.HasSuffix(r.URL.Path, "/_changes")
		}
		to := follow(t, Poll, d, path)
		if !to.Live() {
			t.Errorf("%+v", to.Status())
		}
	})
}

// A feed that falls far behind is not live until it has caught up.
func TestAFeedThatFallsBehindIsNotLive(t *testing.T) {
	for _, form := range []string{"poll", "longpoll"} {
		for pending, want := range map[int]bool{1: true, far: true, far + 1: false} {
			t.Run(fmt.Sprint(form, " ", pending), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDatabase("old")
					mode := Poll
					if form == "longpoll" {
						mode = Couch
					}
					more, released := make(chan struct{}), make(chan struct{})
					wait := func(r *http.Request, ch chan struct{}) {
						select {
						case <-ch:
						case <-r.Context().Done():
						}
					}
					begun := false
					d.before = func(w http.ResponseWriter, r *http.Request) bool {
						q := r.URL.Query()
						switch {
						case q.Get("feed") == "continuous":
							w.WriteHeader(http.StatusNotImplemented)
							return true
						case q.Get("since") == "1" && (q.Get("feed") == "longpoll" || begun && mode == Poll):
							wait(r, more)
							fmt.Fprintf(w, `{"results":[{"seq":2,"id":"a"}],"last_seq":2,"pending":%d}`, pending)
							return true
						case q.Get("since") == "2":
							wait(r, released)
							io.WriteString(w, `{"results":[{"seq":3,"id":"b"}],"last_seq":3,"pending":0}`)
							return true
						}
						begun = begun || q.Get("since") == "1"
						return false
					}
					to := follow(t, mode, d, statePath(t))
					to.want(true)
					time.Sleep(2 * time.Second)
					d.publish("a", "b") // or its own sequence is behind
					close(more)
					to.want(want, "a")
					close(released)
					to.want(true, "b")
				})
			})
		}
	}
}

// A longpoll that is silent is noticed as soon as a stream is.
func TestASilentLongpollIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("old")
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Query().Get("feed") {
			case "continuous":
				w.WriteHeader(http.StatusNotImplemented)
				return true
			case "longpoll":
				<-r.Context().Done()
				return true
			}
			return false
		}
		to := follow(t, Couch, d, statePath(t))
		time.Sleep(silence - time.Millisecond)
		to.want(true)
		time.Sleep(2 * time.Millisecond)
		to.want(false)
	})
}
