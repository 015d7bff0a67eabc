package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheBillOfThisTest(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := write(b, at, []string{self}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the second document differs")
	}
	var d document
	if err := json.Unmarshal(first.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.Version != "SPDX-2.3" || d.Creation.Created != "2026-11-27T00:00:00Z" || len(d.Packages) < 2 || !strings.Contains(first.String(), `"pkg:golang/std@go1.`) {
		t.Errorf("%s", first.String())
	}
	known := map[string]bool{d.ID: true}
	for _, p := range d.Packages {
		known[p.ID] = true
	}
	for _, r := range d.Relationships {
		if !known[r.From] || !known[r.To] {
			t.Errorf("%+v relates to nothing that is listed", r)
		}
	}
	if err := write(&first, at, []string{"main.go"}); err == nil {
		t.Error("a text is taken for a binary")
	}
}
