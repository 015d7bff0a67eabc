package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	edge := flag.String("edge", "./edge", "the program")
	kill := flag.Bool("kill", false, "one edge dies meanwhile")
	join := flag.Bool("join", false, "a fourth edge joins instead")
	flag.Parse()
	err := error(nil)
	if *join {
		err = inPop(*edge, joinFiles, true, edges+1, joins)
	} else {
		err = inPop(*edge, packages, false, edges, func(m *master, w *edgesOf) error { return asked(m, w, *kill) })
	}
	if err != nil {
		log.Fatal(err)
	}
}

const (
	edges    = 3
	clients  = 300
	packages = 100
	victim   = 1 // that dies
)

// asked has a crowd ask all edges.
func asked(m *master, w *edgesOf, kill bool) error {
	c := &crowd{master: m, edges: w.all, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: time.Minute}}
	begun := time.Now()
	var asking sync.WaitGroup
	for i := range clients {
		asking.Go(func() { c.ask(i) })
	}
	if kill {
		for c.answers.Load() < clients {
			time.Sleep(time.Millisecond)
		}
		c.dead.Store(true)
		w.all[victim].stop()
		fmt.Printf("an edge was killed after %d answers\n", c.answers.Load())
	}
	asking.Wait()
	fmt.Printf("%d answers, %d wrong, in %v, the slowest in %v\n", c.answers.Load(), c.wrong.Load(), time.Since(begun).Round(time.Millisecond), time.Duration(c.slowest.Load()).Round(time.Millisecond))
	fetched := m.fetched()
	most := 0
	for _, n := range slices.Sorted(maps.Keys(fetched)) {
		fmt.Printf("%d things were fetched %d times\n", fetched[n], n)
		most = n
	}
	if c.wrong.Load() > 0 || most > 2 {
		return fmt.Errorf("%d wrong answers, and up to %d fetches of a thing", c.wrong.Load(), most)
	}
	return nil
}

// crowd is the clients.
type crowd struct {
	master  *master
	edges   []*process
	client  *http.Client
	dead    atomic.Bool // the victim is
	answers atomic.Int64
	wrong   atomic.Int64
	slowest atomic.Int64
}

// ask is the life of one client: it asks for each thing once, each time another edge.
func (c *crowd) ask(client int) {
	for k, i := range rand.Perm(packages) {
		for _, path := range []string{documentOf(i), fileOf(i)} {
			n := (client + k) % edges
			if n == victim && c.dead.Load() {
				n++
			}
			c.get(n, path)
		}
	}
}

func (c *crowd) get(n int, path string) {
	begun := time.Now()
	body, err := c.fetch(c.edges[n].url + path)
	if want, file := c.master.files[path]; err == nil && file && !bytes.Equal(body, want) {
		err = fmt.Errorf("%d bytes, want %d", len(body), len(want))
	}
	switch {
	case err == nil:
		c.answers.Add(1)
	case n == victim && c.dead.Load(): // it was asked while it died
	default:
		c.wrong.Add(1)
		log.Printf("%s: %v", path, err)
	}
	for took := int64(time.Since(begun)); ; {
		slowest := c.slowest.Load()
		if took <= slowest || c.slowest.CompareAndSwap(slowest, took) {
			return
		}
	}
}

func (c *crowd) fetch(url string) ([]byte, error) {
	resp, err := c.client.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d: %.200s", resp.StatusCode, body)
	}
	return body, err
}
