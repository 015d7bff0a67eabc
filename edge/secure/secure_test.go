package secure

import (
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestLocation(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "npm.example", Path: "/base"}
	mapped := &url.URL{Scheme: "https", Host: "npm.example:8443"}
	for _, tt := range []struct {
		s                  Rules
		host, target, want string
	}{
		{Rules{Public: public, Hosts: []string{"a.example", "npm.example"}}, "npm.example", "/left-pad", "https://npm.example/left-pad"},
		{Rules{Public: public, Hosts: []string{"a.example", "npm.example"}}, "A.example.:80", "/@s%2fname?write=true", "https://a.example/@s%2fname?write=true"},
		{Rules{Public: public, Hosts: []string{"npm.example"}, Port: "8443"}, "evil.example", "//evil.example/", "https://npm.example//evil.example/"},
		{Rules{Public: mapped, Hosts: []string{"npm.example"}}, "npm.example:8080", "/", "https://npm.example:8443/"},
		{Rules{Port: "443"}, "192.0.2.1:80", "/", "https://192.0.2.1/"},
		{Rules{Port: "8443"}, "[2001:db8::1]:80", "/", "https://[2001:db8::1]:8443/"},
		{Rules{Port: "443"}, "[2001:db8::1]", "/", "https://[2001:db8::1]/"},
		{Rules{Port: "443"}, "a.example", "http://a.example:80/x", "https://a.example/x"},
	} {
		r := httptest.NewRequest("GET", tt.target, nil)
		r.Host = tt.host
		if tt.target[0] == '/' { // a server reads it as a path alone
			u, err := url.ParseRequestURI(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			r.URL = u
		}
		if got := tt.s.Location(r); got != tt.want {
			t.Errorf("%s of %s: %s; want %s", tt.target, tt.host, got, tt.want)
		}
	}
}
