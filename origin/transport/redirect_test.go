package transport

import (
	"net/http"
	"net/url"
	"testing"
)

func TestCheckRedirect(t *testing.T) {
	request := func(s string) *http.Request {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Request{URL: u, Header: http.Header{"Authorization": {"x"}}}
	}
	for _, tt := range []struct {
		name string
		urls []string // the last is where it would go
		ok   bool
		kept bool // the credentials
	}{
		{"the same host", []string{"https://a.example/x", "https://a.example/y"}, true, true},
		{"spelled otherwise", []string{"https://a.example/x", "https://A.EXAMPLE:443/y"}, true, true},
		{"plain, with its port", []string{"http://a.example:80/x", "http://a.example/y"}, true, true},
		{"another port", []string{"https://a.example/x", "https://a.example:444/y"}, true, false},
		{"a host below", []string{"https://a.example/x", "https://cdn.a.example/y"}, true, false},
		{"from http to https", []string{"http://a.example/x", "https://a.example/y"}, true, false},
		{"from https to http", []string{"https://a.example/x", "http://a.example/y"}, false, true},
		{"to a file", []string{"https://a.example/x", "file:///etc/passwd"}, false, true},
		{"back again", []string{"https://a.example/", "https://b.example/", "https://a.example/"}, true, false},
		{"five", []string{"http://a/", "http://a/", "http://a/", "http://a/", "http://a/", "http://a/"}, true, true},
		{"six", []string{"http://a/", "http://a/", "http://a/", "http://a/", "http://a/", "http://a/", "http://a/"}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all []*http.Request
			for _, u := range tt.urls {
				all = append(all, request(u))
			}
			req := all[len(all)-1]
			err := checkRedirect(req, all[:len(all)-1])
			if (err == nil) != tt.ok {
				t.Errorf("err = %v; want ok %v", err, tt.ok)
			}
			if kept := req.Header.Get("Authorization") != ""; tt.ok && kept != tt.kept {
				t.Errorf("credentials kept: %v; want %v", kept, tt.kept)
			}
		})
	}
}
