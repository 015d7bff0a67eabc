package command

import (
	"bytes"
	"testing"

	"pkgedge/edge/edgetest"
)

func TestABufferIsNoTerminal(t *testing.T) {
	if isTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is a terminal")
	}
}

func TestADumbTerminalRewritesNoLines(t *testing.T) {
	for term, want := range map[string]bool{"xterm": true, "dumb": false, "": false} {
		if got := rewritesLines(edgetest.EnvOf(map[string]string{"TERM": term})); got != want {
			t.Errorf("TERM %q rewrites lines: %t; want %t", term, got, want)
		}
	}
}
