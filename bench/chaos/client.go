package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	// patience is how long a client waits for the next byte, and limit for the last one.
	patience, limit = 30 * time.Second, 3 * time.Minute
	// tries are those of a request that the edge's death cuts.
	tries = 20
	// thought is the longest pause between two requests of a client.
	thought = 40 * time.Millisecond
)

var (
	errWrong  = errors.New("wrong bytes")
	errSilent = errors.New("no byte for 30 s")
)

// client is one client of the edge.
type client struct {
	edge   *edge
	world  *world
	report *report
	random *rand.Rand
	http   *http.Client

	documents map[string]string // the ETag of each packument that it has
	versions  map[string][]string
}

func newClient(e *edge, w *world, r *report, random *rand.Rand) *client {
	return &client{
		edge: e, world: w, report: r, random: random, documents: make(map[string]string), versions: make(map[string][]string),
		http: &http.Client{Transport: &http.Transport{DisableCompression: random.IntN(2) == 0}},
	}
}

// work sends requests until ctx ends. The last one ends as the others do.
func (c *client) work(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		kind, request, judge := c.choose()
		begun := time.Now()
		err := c.do(request, judge)
		c.report.request(kind, time.Since(begun), request.URL.Path, err)
		time.Sleep(time.Duration(c.random.Int64N(int64(thought))))
	}
}

// do sends a request, and once more where the edge was killed under it.
func (c *client) do(request *http.Request, judge func(*http.Response, []byte) error) error {
	for try := 1; ; try++ {
		begun := time.Now()
		resp, body, err := c.get(request)
		if err == nil {
			return judge(resp, body)
		}
		if !c.edge.killed(begun.Add(-time.Second)) || try == tries {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// get reads an answer whole, and waits no longer than patience for a byte.
func (c *client) get(request *http.Request) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	silent := time.AfterFunc(patience, cancel)
	defer silent.Stop()
	resp, err := c.http.Do(request.Clone(ctx))
	if err == nil {
		defer resp.Body.Close()
		var body bytes.Buffer
		buf := make([]byte, 64<<10)
		for err == nil {
			var n int
			silent.Reset(patience)
			n, err = resp.Body.Read(buf)
			body.Write(buf[:n])
		}
		if err == io.EOF {
			return resp, body.Bytes(), nil
		}
		err = fmt.Errorf("after %d bytes: %w", body.Len(), err)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", errSilent, err)
	}
	return nil, nil, err
}

// choose makes a request, and says how its answer is judged.
func (c *client) choose() (kind string, request *http.Request, judge func(*http.Response, []byte) error) {
	name := c.world.packages[c.random.IntN(len(c.world.packages))]
	if c.random.IntN(12) == 0 {
		name = c.world.packages[c.random.IntN(heavyPackages)]
	}
	known := c.versions[name]
	switch n := c.random.IntN(100); {
	case n < 12 || n < 80 && known == nil:
		return "packument", c.request("/"+escaped(name), "Accept", "application/json"), func(r *http.Response, b []byte) error { return c.document(name, r, b) }
	case n < 32:
		fields := []string{"Accept", "application/vnd.npm.install-v1+json"}
		if tag := c.documents[name]; tag != "" {
			fields = append(fields, "If-None-Match", tag)
		}
		return "abbreviated", c.request("/"+escaped(name), fields...), func(r *http.Response, b []byte) error { return c.document(name, r, b) }
	case n < 38:
		number := known[c.random.IntN(len(known))]
		return "version", c.request("/" + escaped(name) + "/" + number), func(r *http.Response, b []byte) error { return version(number, r, b) }
	case n < 72:
		path := tarballOf(name, known[c.random.IntN(len(known))])
		return "tarball", c.request(path), func(r *http.Response, b []byte) error { return c.world.tarball(path, r, b) }
	case n < 80:
		path, first := tarballOf(name, known[0]), c.random.IntN(1000)
		span := fmt.Sprintf("bytes=%d-%d", first, first+c.random.IntN(100))
		return "part", c.request(path, "Range", span), func(r *http.Response, b []byte) error { return c.world.part(path, span, r, b) }
	default:
		path := c.world.paths[c.random.IntN(len(c.world.paths))]
		return "file", c.request("/tree" + path), func(r *http.Response, b []byte) error {
			return compare(r, b, http.StatusOK, c.world.bodies[path])
		}
	}
}

func (c *client) request(path string, fields ...string) *http.Request {
	r, err := http.NewRequest(http.MethodGet, c.edge.public+path, nil)
	if err != nil {
		fail(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

func escaped(name string) string { return strings.Replace(name, "/", "%2f", 1) }

func tarballOf(name, number string) string {
	return "/" + name + "/-/" + name[strings.LastIndex(name, "/")+1:] + "-" + number + ".tgz"
}

// document judges a packument in either form.
func (c *client) document(name string, r *http.Response, body []byte) error {
	if r.StatusCode == http.StatusNotModified && r.Request.Header.Get("If-None-Match") != "" {
		return nil
	}
	if r.StatusCode != http.StatusOK {
		return refused(r, body)
	}
	var doc struct {
		Name     string
		Versions map[string]struct {
			Dist struct{ Tarball, Integrity string }
		}
	}
	if err := unpacked(r, body, &doc); err != nil {
		return err
	}
	if doc.Name != name || len(doc.Versions) == 0 {
		return fmt.Errorf("%w: a document of %q with %d versions", errWrong, doc.Name, len(doc.Versions))
	}
	c.versions[name] = c.versions[name][:0]
	for number, v := range doc.Versions {
		if v.Dist.Tarball != c.edge.public+tarballOf(name, number) {
			return fmt.Errorf("%w: %s is at %q", errWrong, number, v.Dist.Tarball)
		}
		c.versions[name] = append(c.versions[name], number)
	}
	c.documents[name] = r.Header.Get("Etag")
	return nil
}

func version(number string, r *http.Response, body []byte) error {
	if r.StatusCode != http.StatusOK {
		return refused(r, body)
	}
	var doc struct{ Version string }
	if err := unpacked(r, body, &doc); err != nil {
		return err
	}
	if doc.Version != number {
		return fmt.Errorf("%w: version %q instead of %s", errWrong, doc.Version, number)
	}
	return nil
}

func unpacked(r *http.Response, body []byte, to any) error {
	if coding := r.Header.Get("Content-Encoding"); coding != "" {
		return fmt.Errorf("%w: coding %s, unasked", errWrong, coding)
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	return nil
}

// tarball compares a tarball with the registry's.
func (w *world) tarball(path string, r *http.Response, body []byte) error {
	if r.StatusCode != http.StatusOK {
		return refused(r, body)
	}
	want, err := w.sum(path)
	if err != nil {
		return err
	}
	if sha256.Sum256(body) != want {
		return fmt.Errorf("%w: %d bytes with another digest", errWrong, len(body))
	}
	return nil
}

func (w *world) sum(path string) ([32]byte, error) {
	w.mu.Lock()
	sum, ok := w.sums[path]
	w.mu.Unlock()
	if ok {
		return sum, nil
	}
	body, err := w.ask(path)
	if err != nil {
		return sum, err
	}
	sum = sha256.Sum256(body)
	w.mu.Lock()
	w.sums[path] = sum
	w.mu.Unlock()
	return sum, nil
}

func (w *world) part(path, span string, r *http.Response, body []byte) error {
	want, err := w.ask(path)
	if err != nil {
		return err
	}
	var first, last int
	if _, err := fmt.Sscanf(span, "bytes=%d-%d", &first, &last); err != nil {
		return err
	}
	return compare(r, body, http.StatusPartialContent, want[first:min(last+1, len(want))])
}

// ask gets the registry's own bytes.
func (w *world) ask(path string) ([]byte, error) {
	resp, err := http.Get(w.truth.URL() + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the registry itself answers %d", resp.StatusCode)
	}
	return body, err
}

func compare(r *http.Response, body []byte, status int, want []byte) error {
	if r.StatusCode != status {
		return refused(r, body)
	}
	if !bytes.Equal(body, want) {
		return fmt.Errorf("%w: %d bytes, want %d with other content", errWrong, len(body), len(want))
	}
	return nil
}

func refused(r *http.Response, body []byte) error {
	return fmt.Errorf("%d %.200q, %s", r.StatusCode, body, r.Header.Get("Cache-Status"))
}
