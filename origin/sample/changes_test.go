package sample_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

type feedRow struct {
	Seq     int
	ID      string
	Deleted bool
	Changes []struct{ Rev string }
	Last    int `json:"last_seq"`
}

type feedPage struct {
	Results []feedRow
	Last    int `json:"last_seq"`
	Pending int
}

func publish(t *testing.T, store *sample.Store, name string, numbers ...string) {
	t.Helper()
	for _, n := range numbers {
		if err := store.AddPackage(name, sample.Version{Number: n}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChangesInPages(t *testing.T) {
	store := sample.NewStore()
	publish(t, store, "a", "1.0.0")
	publish(t, store, "b", "1.0.0")
	publish(t, store, sample.PrivateScope+"/c", "1.0.0")
	publish(t, store, "a", "1.1.0")
	_, s := serve(t, store)
	c := client(t)
	for query, want := range map[string]string{
		"":                "[2 b][4 a] to 4, 0 more",
		"since=0&limit=1": "[2 b] to 2, 1 more",
		"since=2":         "[4 a] to 4, 0 more",
		"since=4":         " to 4, 0 more",
		"since=now":       " to 4, 0 more",
		"since=99":        " to 4, 0 more",
	} {
		p := decode[feedPage](t, send(t, c, "GET", s.URL()+"/_changes?"+query, "").body)
		var got strings.Builder
		for _, r := range p.Results {
			fmt.Fprintf(&got, "[%d %s]", r.Seq, r.ID)
		}
		if fmt.Fprintf(&got, " to %d, %d more", p.Last, p.Pending); got.String() != want {
			t.Errorf("%s: %s; want %s", query, got.String(), want)
		}
	}
	if r := send(t, c, "GET", s.URL()+"/_changes?since=x", ""); r.status != http.StatusBadRequest || !strings.Contains(string(r.body), "since") {
		t.Errorf("%d %s", r.status, r.body)
	}
	doc := decode[packument](t, send(t, c, "GET", s.URL()+"/a", "").body)
	auth := "Authorization: Bearer " + store.Grant("writer")
	if r := send(t, c, "DELETE", s.URL()+"/a/-rev/"+doc.Rev, "", auth); r.status >= 300 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	p := decode[feedPage](t, send(t, c, "GET", s.URL()+"/_changes?since=4", "").body)
	if len(p.Results) != 1 || !p.Results[0].Deleted || p.Results[0].ID != "a" || p.Results[0].Changes[0].Rev != doc.Rev {
		t.Errorf("%+v", p)
	}
}

func TestChangesByLongpoll(t *testing.T) {
	store := sample.NewStore()
	publish(t, store, "a", "1.0.0")
	m, s := serve(t, store)
	c := client(t)
	if p := decode[feedPage](t, send(t, c, "GET", s.URL()+"/_changes?feed=longpoll&since=0", "").body); len(p.Results) != 1 {
		t.Errorf("with news: %+v", p)
	}
	if p := decode[feedPage](t, send(t, c, "GET", s.URL()+"/_changes?feed=longpoll&since=1&timeout=1", "").body); len(p.Results) != 0 || p.Last != 1 {
		t.Errorf("without: %+v", p)
	}
	m.Forget()
	got := make(chan reply)
	go func() {
		r, _ := try(t, c, "GET", s.URL()+"/_changes?feed=longpoll&since=1", "")
		got <- r
	}()
	<-m.Arrived(faults.Path("/_changes"))
	publish(t, store, "b", "1.0.0")
	if p := decode[feedPage](t, (<-got).body); len(p.Results) != 1 || p.Results[0].ID != "b" || p.Last != 2 {
		t.Errorf("%+v", p)
	}
}

func TestChangesAsAStream(t *testing.T) {
	store := sample.NewStore()
	publish(t, store, "a", "1.0.0")
	m, s := serve(t, store)
	open := func(query string) *bufio.Scanner {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/_changes?feed=continuous&"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return bufio.NewScanner(resp.Body)
	}
	next := func(lines *bufio.Scanner) (r feedRow) {
		t.Helper()
		for lines.Scan() {
			if text := lines.Text(); text != "" {
				if err := json.Unmarshal([]byte(text), &r); err != nil {
					t.Fatal(err)
				}
				return r
			}
		}
		t.Fatal("ended", lines.Err())
		return r
	}
	lines := open("since=0&heartbeat=60000")
	if r := next(lines); r.ID != "a" || r.Seq != 1 {
		t.Errorf("%+v", r)
	}
	publish(t, store, "b", "1.0.0")
	if r := next(lines); r.ID != "b" || r.Seq != 2 {
		t.Errorf("%+v", r)
	}
	m.Lag()
	publish(t, store, "c", "1.0.0")
	m.CatchUp()
	if r := next(lines); r.ID != "c" || r.Seq != 3 {
		t.Errorf("%+v", r)
	}
	if beat := open("since=now&heartbeat=1"); !beat.Scan() || beat.Text() != "" {
		t.Errorf("heartbeat %q", beat.Text())
	}
	if r := next(open("since=now&timeout=1")); r.Last != 3 || r.ID != "" {
		t.Errorf("end %+v", r)
	}
}
