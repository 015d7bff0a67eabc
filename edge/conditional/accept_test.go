package conditional

import "testing"

func TestABrowserAsksForHTML(t *testing.T) {
	for _, tt := range []struct {
		name   string
		accept []string
		want   bool
	}{
		{"Firefox", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, true},
		{"Chrome", []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"}, true},
		{"in another line, with spaces and in capitals", []string{"application/json", " Text/HTML ; charset=utf-8 ; q=0.5"}, true},
		{"npm", []string{"application/json"}, false},
		{"npm install", []string{"application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"}, false},
		{"curl", []string{"*/*"}, false},
		{"a part of it", []string{"text/*, text/html-fragment"}, false},
		{"refused", []string{"text/html;q=0, */*"}, false},
		{"refused, after a parameter", []string{"text/html;level=1;q=0.000, */*"}, false},
		{"none", nil, false},
	} {
		if got := AsksForHTML(tt.accept); got != tt.want {
			t.Errorf("%s: %q asks for HTML: %t", tt.name, tt.accept, got)
		}
	}
}
