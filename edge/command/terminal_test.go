package command

import (
	"bytes"
	"testing"

	"pkgedge/edge/edgetest"
)

func TestABufferIsNoTerminal(t *testing.T) {
	if isTerminal(&bytes.Buffer{}, edgetest.EnvOf(map[string]string{"TERM": "xterm"})) {
		t.Error("a buffer is a terminal")
	}
}
