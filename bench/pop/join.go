package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

const joinFiles = 1000

// joins has a fourth edge join three.
func joins(m *master, w *edgesOf) error {
	c := &crowd{master: m, edges: w.all, client: &http.Client{Timeout: time.Minute}}
	for i := range joinFiles {
		c.get(i%edges, fileOf(i))
	}
	before := m.requests()
	if err := w.start(1); err != nil {
		return err
	}
	fourth := w.all[edges]
	begun := time.Now()
	for i := range joinFiles {
		body, err := c.fetch(fourth.url + fileOf(i))
		if err == nil && !bytes.Equal(body, m.files[fileOf(i)]) {
			err = fmt.Errorf("%d other bytes", len(body))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", fileOf(i), err)
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
