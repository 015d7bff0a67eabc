package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"time"
)

const joinFiles = 1000

// runJoin has a fourth edge join three.
func runJoin(program string) error {
	m, err := newMaster(joinFiles, true)
	if err != nil {
		return err
	}
	defer m.server.Close()
	dir, err := os.MkdirTemp("", "pop")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := newEdges(program, dir, m.url, edges+1)
	if err != nil {
		return err
	}
	all, err := w.start(edges)
	defer func() {
		for _, e := range all {
			e.stop()
		}
	}()
	if err != nil {
		return err
	}
	c := &crowd{master: m, edges: all, client: &http.Client{Timeout: time.Minute}}
	for i := range joinFiles {
		c.get(i%edges, fileOf(i))
	}
	before := m.requests()
	more, err := w.start(1)
	all = append(all, more...)
	if err != nil {
		return err
	}
	fourth := all[edges]
	begun := time.Now()
	for i := range joinFiles {
		body, err := c.fetch(fourth.url + fileOf(i))
		if err != nil || !bytes.Equal(body, m.files[fileOf(i)]) {
			return fmt.Errorf("%s: %d bytes, %w", fileOf(i), len(body), err)
		}
	}
	took := time.Since(begun)
	s, err := fourth.status(context.Background())
	if err != nil {
		return err
	}
	asked, answered := m.requests()-before, s.Fleet.Siblings.Answered
	fmt.Printf("%d files in %v: %d answers of siblings, %d requests at the master\n", joinFiles, took.Round(time.Millisecond), answered, asked)
	if answered < joinFiles*95/100 || asked > joinFiles*5/100 || c.wrong.Load() > 0 {
		return fmt.Errorf("siblings gave too little, and %d answers before were wrong", c.wrong.Load())
	}
	return nil
}
