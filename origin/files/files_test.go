package files_test

import (
	"net/http"
	"testing"

	"pkgedge/origin/files"
	"pkgedge/origin/kind"
	"pkgedge/origin/kind/kindtest"
)

func TestRoutes(t *testing.T) {
	d := files.Descriptor()
	k, err := d.New(kind.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []kind.Request
	for _, tt := range []struct {
		method, path, query string
		class               kind.Class
		key, touches        string
	}{
		{"GET", "/a%2fb", "", kind.File, "/a%2fb", ""},
		{"GET", "/a/", "", kind.File, "/a/", ""},
		{"GET", "//a//b//", "", kind.File, "//a//b//", ""},
		{"HEAD", "/a", "x=1", kind.File, "/a?x=1", ""},
		{"OPTIONS", "/a", "", kind.PassPrimary, "", ""},
		{"PUT", "/a", "x", kind.PassPrimary, "", "/a?x"},
		{"DELETE", "/a", "", kind.PassPrimary, "", "/a"},
		{"BREW", "/a", "", kind.PassPrimary, "", "/a"},
		{"TRACE", "/a", "", kind.Refuse, "", ""},
		{"CONNECT", "/a", "", kind.Refuse, "", ""},
	} {
		request := kind.Request{Method: tt.method, Path: tt.path, Query: tt.query, Header: http.Header{}}
		all = append(all, request)
		r := k.Route(request)
		touches := ""
		for _, m := range r.Invalidates {
			touches += m.Name
		}
		if r.Class != tt.class || r.Key != tt.key || touches != tt.touches || r.Transparent != r.Class.Cacheable() {
			t.Errorf("%s %s: %+v", tt.method, tt.path, r)
		}
	}
	kindtest.Describes(t, d, k, all)
}
