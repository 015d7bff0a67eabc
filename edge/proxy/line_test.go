package proxy

import (
	"net/http/httptest"
	"strings"
	"testing"

	"pkgedge/origin/kind"
)

func TestAccessLogHasNoSecretsOfTheQuery(t *testing.T) {
	request := httptest.NewRequest("GET", "/-/v1/done?authId=secret", nil)
	for _, route := range []kind.Route{{Class: kind.PassPrimary}, {Class: kind.PassAny, Log: "/***"}} {
		if l := lineOf(request, &route); l.Query != "" {
			t.Errorf("%+v: the query %q is written", route, l.Query)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	for sent, want := range map[string]string{
		"a-1": "a-1", "": "", "a b": "", "a\nb": "", `a"b`: "", `a\b`: "", "é": "", strings.Repeat("x", 128): strings.Repeat("x", 128), strings.Repeat("x", 129): "",
	} {
		if got := requestID(sent); got != want {
			t.Errorf("%q is the ID %q; want %q", sent, got, want)
		}
	}
}
