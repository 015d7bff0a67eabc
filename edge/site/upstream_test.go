package site

import (
	"strings"
	"testing"
)

func TestACredentialIsNotWrittenDown(t *testing.T) {
	o := ownerOf([]string{"Bearer alice"})
	if o == "" || strings.Contains(o, "alice") || o == ownerOf([]string{"Bearer bob"}) {
		t.Errorf("owner %q", o)
	}
}
