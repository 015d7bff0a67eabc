package daemon

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/admin/page"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/edgetest/chromium"
	"pkgedge/edge/fleet/figures"
	"pkgedge/edge/history"
	"pkgedge/edge/report"
)

// views are the sizes and colours in which a page must be good.
var views = []chromium.View{
	{Name: "phone", Width: 390, Height: 844, Phone: true, Dark: true, Still: true},
	{Name: "tablet", Width: 820, Height: 1180},
	{Name: "desktop", Width: 1440, Height: 900},
	{Name: "desktop-dark", Width: 1440, Height: 900, Dark: true},
}

// openPage is an edge in front of two masters, whose admin listener is a real one.
type openPage struct {
	*behindTwo
	url    string
	events *page.Events
	fleet  atomic.Pointer[report.Fleet] // that the page is shown
}

func newOpenPage(t *testing.T, token, more string) *openPage {
	b := newBehindTwo(t, more)
	b.edge.reloads.accepted("config.yaml", time.Now())
	b.edge.cfg.Admin.Token = token
	b.edge.history.hour = history.NewHour(admin.TimeBounds(), time.Now().Add(-time.Hour-history.Step)) // for those that make one up
	w := &openPage{behindTwo: b}
	source := b.edge.pageSource()
	source.Status = func() *report.Status {
		s := b.edge.report()
		s.Fleet = w.fleet.Load()
		return s
	}
	w.events = page.NewEvents(source)
	s := httptest.NewServer(admin.New(admin.Config{
		Token: token, Listen: "127.0.0.1:0",
		Purger: purger{b.edge.Daemon}, Drainer: drainer{b.edge.Daemon}, Reloader: reloader{b.edge.Daemon}, Status: b.edge.status, Ready: b.edge.ready,
		Metrics: b.edge.metrics.Handler(), Page: new(page.Document), Events: w.events, Logger: edgetest.QuietLog(),
	}))
	t.Cleanup(s.Close)
	t.Cleanup(w.events.End)
	w.url = s.URL
	return w
}

// breakMasters has the masters refuse connections, and waits until probes have found it out.
func (w *openPage) breakMasters() {
	for _, s := range w.servers {
		s.Refuse()
	}
	edgetest.Until(w.t, "the outage", func() bool { return w.status().Outage })
}

// check looks for all that is wrong with a page in any state.
func check(t *testing.T, tab *chromium.Tab, v chromium.View, url string) {
	t.Helper()
	for _, asked := range tab.Requests() {
		if !strings.HasPrefix(asked, url) && !strings.HasPrefix(asked, "data:") {
			t.Errorf("%s: the page asks for %s", v.Name, asked)
		}
	}
	for _, complaint := range tab.Complaints() {
		t.Errorf("%s: the browser complains: %s", v.Name, complaint)
	}
	var wide int
	if tab.Eval("document.documentElement.scrollWidth - window.innerWidth", &wide); wide > 0 {
		t.Errorf("%s: the page is %d pixels too wide", v.Name, wide)
	}
}

// savePage writes a picture of a page where EDGE_PAGES says, to be looked at.
func savePage(t *testing.T, tab *chromium.Tab, name string) {
	t.Helper()
	if dir := os.Getenv("EDGE_PAGES"); dir != "" {
		edgetest.WriteFile(t, filepath.Join(dir, name+".png"), string(tab.Screenshot(0)))
	}
}

// accessible runs the rules of accessibility.
func accessible(t *testing.T, tab *chromium.Tab, name string) {
	t.Helper()
	violations, _ := tab.Violations()
	for _, is := range violations {
		t.Errorf("%s: axe-core: %s", name, is)
	}
}

func TestThePageInABrowserDuringAnOutage(t *testing.T) {
	t.Parallel()
	w := newOpenPage(t, "", "    probe: { path: /-/ping, every: 20ms, fall: 2 }\n")
	b := chromium.Start(t)
	w.want(w.send("GET", "/edge-sample-words"), 200)
	w.edge.history.hour.Add(time.Now(), w.edge.totals())
	views := views[:3]
	tabs := make([]*chromium.Tab, len(views))
	for i, v := range views {
		tabs[i] = b.Open(w.url+"/", v)
		tabs[i].Until("that all is well", `document.querySelector("#verdict").textContent.includes("all is well")`)
		tabs[i].Until("the masters", `document.querySelectorAll(".master.healthy").length === 2`)
		tabs[i].Until("a plot", `document.querySelectorAll(".canvas canvas").length === 4`)
		if text := tabs[i].Text("#outages"); text != "" {
			t.Errorf("%s: an outage: %s", v.Name, text)
		}
		if i == 0 {
			accessible(t, tabs[i], v.Name)
		}
		var shown bool
		if tabs[i].Eval(`document.querySelector("#fleet").offsetParent !== null`, &shown); shown {
			t.Errorf("%s: an edge alone has a fleet: %s", v.Name, tabs[i].Text("#fleet"))
		}
		check(t, tabs[i], v, w.url)
	}
	w.fleet.Store(&report.Fleet{
		Name: "pop1-a", Pop: "pop1", Log: &figures.Log{Why: "no answer in time", Since: time.Now().Add(-time.Minute), Place: 4711, Outbox: 2},
		Edges:    []figures.Edge{{Name: "pop1-a", Pop: "pop1", Place: 4711}, {Name: "pop2-a-with-a-name-that-is-rather-long", Pop: "pop2", Place: 4712, Away: true, Heard: time.Now().Add(-time.Hour)}},
		Siblings: &figures.Siblings{Members: []figures.Member{{Address: "10.0.0.1:8443", State: "self", Share: 1}, {Address: "[2001:db8::1234:5678:9abc:def0]:8443", State: "out"}}},
	})
	w.breakMasters()
	w.want(w.send("GET", "/edge-sample-app"), 503)
	for i, v := range views {
		tab := tabs[i]
		tab.Until("the outage", `document.querySelector(".outage")`)
		if text := tab.Text(".outage"); !strings.Contains(text, "OUTAGE for") || !strings.Contains(text, "site npm: no master answers") {
			t.Errorf("%s: the banner says %q", v.Name, text)
		}
		tab.Until("the sentences of edge status", `document.querySelector("#problems").innerText.includes("site npm: outage for")`)
		if text := tab.Text("#problems"); !strings.Contains(text, "!!") || !strings.Contains(text, "found the connection refused") {
			t.Errorf("%s: the problems are %q", v.Name, text)
		}
		tab.Until("the masters that are out", `document.querySelectorAll(".master.out").length === 2`)
		tab.Until("the fleet", `document.querySelectorAll("#fleet-edges tr").length === 2 && document.querySelectorAll("#fleet-members tr").length === 2`)
		if text := tab.Text("#fleet"); !strings.Contains(text, "not live at 4711") || !strings.Contains(text, "away, heard 1h") || !strings.Contains(text, "100 %") {
			t.Errorf("%s: the fleet is %q", v.Name, text)
		}
		tab.Until("the log that is not live", `document.querySelector("#problems").innerText.includes("the log of purges is not live")`)
		tab.Until("the failure", `document.querySelector("#failures").innerText.includes("GET /edge-sample-app")`)
		tab.Until("the sentence that is read out", `document.querySelector("#cries").textContent.includes("outage")`)
		var title string
		if tab.Eval("document.title", &title); !strings.HasPrefix(title, "OUTAGE") {
			t.Errorf("%s: the title is %q", v.Name, title)
		}
		check(t, tab, v, w.url)
		accessible(t, tab, v.Name+" in the outage")
		savePage(t, tab, "outage-"+v.Name)
	}
	w.events.End()
	for i, v := range views {
		tabs[i].Until("that the edge has stopped", `!document.querySelector("#lost").hidden && document.querySelector("#lost").innerText.includes("has stopped")`)
		check(t, tabs[i], v, w.url)
		if i == 0 {
			accessible(t, tabs[i], v.Name+" at the end")
		}
	}
}

// By keyboard alone: to a master's button, through the dialog, with the token.
func TestThePageDrainsAMasterByKeyboard(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	w := newOpenPage(t, token, "    probe: { path: /-/ping, every: 1h }\n")
	b := chromium.Start(t)
	tab := b.Open(w.url+"/", views[2])
	tab.Until("the masters", `document.querySelectorAll(".master").length === 2`)
	const focused = `document.activeElement.getAttribute("aria-label") || ""`
	name := ""
	for range 20 {
		tab.Press("Tab")
		if tab.Eval(focused, &name); strings.HasPrefix(name, "Drain replica 1, ") {
			break
		}
	}
	if !strings.HasPrefix(name, "Drain replica 1, ") {
		t.Fatalf("the button cannot be reached; the focus is on %q", name)
	}
	try := func(word string) {
		tab.Press("Enter")
		tab.Until("the dialog", `document.querySelector("dialog").open`)
		tab.Until("the focus on the token", `document.activeElement.id === "token"`)
		tab.Type(word)
		tab.Press("Enter")
	}
	try("wrong")
	tab.Until("the refusal", `document.querySelector("#confirm-error").textContent.includes("token is not right")`)
	if w.status().Masters[1].Drained {
		t.Fatal("drained with a wrong token")
	}
	accessible(t, tab, "the dialog")
	tab.Press("Escape")
	tab.Until("the end of the dialog", `!document.querySelector("dialog").open`)
	tab.Until("the focus back at the button", "("+focused+`).startsWith("Drain replica 1")`)
	try(token)
	tab.Until("the drain", `document.querySelector("#result").innerText.includes("is drained: 1 master is left")`)
	tab.Until("its state", `document.querySelector(".master.drained")`)
	if !w.status().Masters[1].Drained {
		t.Error("not drained")
	}
	var kept string
	tab.Eval(`document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.documentElement.outerHTML`, &kept)
	if strings.Contains(kept, token) {
		t.Error("the token is kept in the page")
	}
	tab.Close()
	w.asksForTheToken(b, token)
}

// asksForTheToken opens the page as from another machine: it is empty until it has the token, since it
// names packages.
func (w *openPage) asksForTheToken(b *chromium.Browser, token string) {
	t := w.t
	w.want(w.send("GET", "/edge-sample-words"), 200)
	to, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded() // of another machine
	}})
	t.Cleanup(s.Close)
	t.Cleanup(w.events.End)
	tab := b.Open(s.URL+"/", views[2])
	for _, try := range []string{"wrong", token} {
		tab.Until("the dialog", `document.querySelector("dialog").open && document.activeElement.id === "token"`)
		tab.Until("why", `document.querySelector("#lost").innerText.includes("wants its admin token")`)
		if text := tab.Text("body"); strings.Contains(text, "edge-sample-words") {
			t.Fatalf("names of packages before the token: %s", text)
		}
		if try == token {
			tab.Until("the refusal", `document.querySelector("#confirm-error").textContent.includes("token is not right")`)
			accessible(t, tab, "the token")
		}
		tab.Type(try)
		tab.Press("Enter")
	}
	tab.Until("the packages", `document.querySelector("#asked").innerText.includes("edge-sample-words")`)
	tab.Until("no complaint", `document.querySelector("#lost").hidden && !document.querySelector("dialog").open`)
	tab.Until("a plot", `document.querySelectorAll(".canvas canvas").length === 4`)
}

// TestScreenshots makes the pictures of the README, by "make screenshots". The hour in them is made up.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("EDGE_SCREENSHOTS")
	if dir == "" {
		t.Skip("make screenshots sets EDGE_SCREENSHOTS")
	}
	b := chromium.Start(t)
	for _, outage := range []time.Duration{0, 4 * time.Minute} {
		w := newOpenPage(t, "", "    probe: { path: /-/ping, every: 50ms, fall: 3 }\n")
		w.edge.cfg.Cache.Memory, w.edge.cfg.Cache.Disk, w.edge.version = 256<<20, 10<<30, "v0.2.0"
		for range 20 {
			w.want(w.send("GET", "/edge-sample-words"), 200)
			w.want(w.send("GET", "/edge-sample-app"), 200)
		}
		fill(w.edge.history, time.Now(), outage)
		edgetest.Until(t, "probes", func() bool { return len(w.edge.report().Sites[0].Masters[0].Probe.Recent) > 30 })
		state, these := "well", views[2:3]
		if outage > 0 {
			state, these = "outage", views
			w.breakMasters()
			for _, name := range []string{"/left-pad", "/@types/node", "/react"} {
				w.want(w.send("GET", name), 503)
			}
		}
		for _, v := range these {
			tab := b.Open(w.url+"/", v)
			tab.Until("the hour", `document.querySelectorAll(".master").length === 2 && document.querySelectorAll("#hour-rows tr").length > 5`)
			if outage > 0 {
				tab.Until("the outage", `document.querySelector(".outage") && document.querySelector("#failures li")`)
			}
			edgetest.WriteFile(t, filepath.Join(dir, fmt.Sprintf("page-%s-%s.png", state, v.Name)), string(chromium.Small(t, tab.Screenshot(0))))
			tab.Close()
		}
	}
}

// fill makes up an hour before now, of which the last part is an outage.
func fill(p *pastHour, now time.Time, outage time.Duration) {
	random := rand.New(rand.NewPCG(1, 2))
	is := history.Totals{Times: make([]uint64, len(admin.TimeBounds())+1)}
	for i := range history.Samples {
		at := now.Add(-time.Duration(history.Samples-i) * history.Step)
		n := int64(9000 + 3000*math.Sin(float64(i)/50) + 1500*random.Float64())
		missed := n * int64(20+random.IntN(25)) / 1000
		is.Outage = at.After(now.Add(-outage))
		if is.Outage {
			is.StaleErrors += n / 5
			is.Errors += missed / 2
		}
		is.Requests, is.Reads, is.Stored = is.Requests+n+n/200, is.Reads+n, is.Stored+n-missed
		is.Sent, is.SentReads, is.SentStored = is.Sent+n*61000, is.SentReads+n*61000, is.SentStored+(n-missed)*60000
		for bucket, part := range []int64{55, 30, 8, 3} {
			is.Times[bucket] += uint64(n * part / 100)
		}
		if !is.Outage {
			is.Fetched += missed * 90000
			is.Times[8+i%3/2] += uint64(missed)
		}
		is.Memory, is.Disk = 190<<20, 6<<30+int64(i)<<20
		made := is
		made.Times = slices.Clone(is.Times)
		p.hour.Add(at, made)
	}
	for i, name := range []string{"@types/node", "react", "typescript", "left-pad", "lodash", "@babel/core", "eslint", "semver", "vite", "postcss", "@swc/core", "webpack"} {
		for range 900 / (i + 1) {
			p.asked.Count("npm", name, 1, now)
			p.sent.Count("npm", name, int64(4000+7000*(i*7%12)), now)
		}
		for range 90 / (2 + (i*5)%12) {
			p.missed.Count("npm", name, 1, now)
		}
	}
}

// The command reads the stream that the page lives by.
func TestTopIsReadFromTheEvents(t *testing.T) {
	b := newOpenPage(t, "", "")
	b.want(b.read("/edge-sample-words"), 200)
	b.want(b.read("/edge-sample-words"), 200)
	edgetest.Until(t, "the end of the requests", func() bool { return b.edge.metrics.InFlight() == 0 })
	client := admin.NewClient(b.url, "")
	defer client.Close()
	top, err := client.Top(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(top.Asked) != 1 || top.Asked[0] != (admin.Ranked{Site: "npm", Name: "edge-sample-words", Count: 2}) || len(top.Missed) != 1 || top.Missed[0].Count < 1 {
		t.Errorf("asked %v, missed %v", top.Asked, top.Missed)
	}
	if len(top.Sent) != 1 || top.Sent[0].Count < 100 || top.Lately != nil || top.At.IsZero() || top.Started.IsZero() {
		t.Errorf("%+v", top)
	}
	b.edge.history.hour.Add(time.Now(), history.Totals{Requests: 2, Sent: 7})
	if top, err := client.Top(t.Context()); err != nil || top.Lately == nil || top.Lately.Requests != 2 || top.Lately.Sent != 7 {
		t.Errorf("%+v, %v", top, err)
	}
}
