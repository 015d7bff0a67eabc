package feed

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Silence, and bytes that drip, are noticed after three heartbeats; then the
// usual lifetimes hold, until the feed is caught up with again.
func TestAFeedThatStallsIsNoticedAndAskedAgain(t *testing.T) {
	for name, stall := range map[string]func(w http.ResponseWriter, r *http.Request){
		"silence": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"drip": func(w http.ResponseWriter, r *http.Request) {
			for _, b := range []byte(`{"seq":2,"id":"new","changes":[{"rev":"1-` + strings.Repeat("a", 100)) {
				w.Write([]byte{b})
				http.NewResponseController(w).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
					return
				}
			}
		},
	} {
		for _, mode := range []Mode{Couch, Poll} {
			t.Run(name+", "+string(mode), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDatabase("old")
					to := prepare(t, mode, d, statePath(t))
					stalls := 0
					d.before = func(w http.ResponseWriter, r *http.Request) bool {
						due := mode == Poll && len(d.queries("/_changes")) == 3 || mode == Couch && r.URL.Query().Get("feed") == "continuous" && stalls == 0
						if due && stalls == 0 {
							stalls++
							http.NewResponseController(w).Flush()
							stall(w, r)
							return true
						}
						return false
					}
					to.run()
					time.Sleep(3 * time.Second)
					to.want(true)
					d.publish("new")
					time.Sleep(silence - 4*time.Second)
					to.want(true)
					time.Sleep(time.Second + 100*time.Millisecond)
					if mode == Couch {
						to.want(false)
						if why := to.Status().Why; !strings.Contains(why, "not heard from") {
							t.Error(why)
						}
					}
					time.Sleep(5 * time.Second)
					to.want(true, "new")
					to.wantResets(1)
				})
			})
		}
	}
}

func TestWhatIsNoFeedIsNotLive(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		why    string
	}{
		"HTML": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<html>\n\n<p>Welcome\n")
		}, "no change feed"},
		"HTML error": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(503)
			io.WriteString(w, "<html>since</html>")
		}, "answers 503"},
		"other JSON":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ok":true}`) }, "no change feed"},
		"a list":      {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `[]`) }, "no change feed"},
		"nothing":     {func(http.ResponseWriter, *http.Request) {}, "cut off"},
		"half a page": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"results":[`) }, "cut off"},
		"a cut":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://b.example/db", http.StatusMovedPermanently)
		}, "http://b.example/db"},
		"no authority": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "answers 401"},
	} {
		for _, mode := range []Mode{Couch, Poll} {
			t.Run(name+", "+string(mode), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDatabase("old")
					to := follow(t, mode, d, statePath(t))
					to.want(true)
					d.answer(func(w http.ResponseWriter, r *http.Request) bool { tt.answer(w, r); return true })
					time.Sleep(silence + 2*time.Second) // a stream that is open stays so
					if mode == Couch {
						to.stop()
						to = follow(t, mode, d, to.path)
					}
					to.want(false)
					if why := to.Status().Why; !strings.Contains(why, tt.why) {
						t.Errorf("why: %s; want %q", why, tt.why)
					}
					before := len(d.queries())
					time.Sleep(time.Hour)
					to.want(false)
					if n := len(d.queries()) - before; n < 30 || n > 300 { // two requests each time
						t.Errorf("asked %d times in an hour", n)
					}
					d.answer(nil)
					d.publish("new")
					time.Sleep(longPause + longPause/5)
					to.want(true, "new")
				})
			})
		}
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	modes(t, func(t *testing.T, mode Mode, opaque bool) {
		d := newDatabase("old")
		d.opaque = opaque
		path := statePath(t)
		to := follow(t, mode, d, path)
		to.want(true)
		to.stop()
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/_changes") {
				return false
			}
			w.Header().Set("Retry-After", "200")
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		to = follow(t, mode, d, path)
		to.want(false)
		before := len(d.queries("/_changes"))
		time.Sleep(179 * time.Second)
		if n := len(d.queries("/_changes")); n != before {
			t.Errorf("asked again %d times", n-before)
		}
		d.answer(nil)
		time.Sleep(42 * time.Second)
		to.want(true)
		to.wantResets(0)
	})
}

// Each sign that the sequence means something else now puts all in doubt, once, and
// the feed is followed from its end.
func TestResetIsNoticed(t *testing.T) {
	t.Parallel()
	again := func(d *database) { d.replace("x"); d.echo = false }
	for name, tt := range map[string]struct {
		reset  func(d *database)
		opaque bool
	}{
		"the feed ends before":                     {func(d *database) { again(d) }, false},
		"the feed ends before, opaque":             {func(d *database) { again(d) }, true},
		"the database is behind, the feed an echo": {func(d *database) { again(d); d.echo = true }, false},
		"since is unknown": {func(d *database) {
			again(d)
			d.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("since") != "3" {
					return false
				}
				w.WriteHeader(400)
				io.WriteString(w, `{"error":"bad_request","reason":"Malformed sequence supplied in 'since' parameter."}`)
				return true
			}
			d.silent = true
		}, false},
		"gone": {func(d *database) {
			again(d)
			d.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("since") == "3" {
					w.WriteHeader(http.StatusGone)
				}
				return r.URL.Query().Get("since") == "3"
			}
			d.silent = true
		}, false},
		"a row goes back": {func(d *database) {
			again(d)
			d.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("since") == "3" {
					io.WriteString(w, `{"results":[{"seq":1,"id":"x"}],"last_seq":3}`)
				}
				return r.URL.Query().Get("since") == "3"
			}
			d.silent = true
		}, false},
	} {
		for _, mode := range []Mode{Couch, Poll} {
			t.Run(name+", "+string(mode), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDatabase("a", "b", "c")
					d.opaque = tt.opaque
					path := statePath(t)
					first := follow(t, mode, d, path)
					first.want(true)
					first.stop()
					synctest.Wait()
					tt.reset(d)
					to := follow(t, mode, d, path)
					time.Sleep(5 * time.Second)
					if mode == Poll {
						d.tell(false) // or it cannot find the end
						time.Sleep(5 * time.Second)
					}
					to.want(true)
					to.wantResets(1)
					d.answer(nil)
					d.publish("y")
					time.Sleep(2 * time.Second)
					to.want(true, "y")
					time.Sleep(6 * time.Minute) // beyond the next check
					to.wantResets(1)
				})
			})
		}
	}
}

func TestAStreamThatGoesBackIsAReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("a", "b", "c")
		d.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("feed") != "continuous" {
				return false
			}
			io.WriteString(w, `{"seq":1,"id":"a"}`+"\n")
			return true
		}
		to := follow(t, Couch, d, statePath(t))
		to.want(false)
		d.answer(nil)
		time.Sleep(2 * time.Second)
		to.want(true)
		to.wantResets(2)
	})
}
