package npm

import (
	"net/http"
	"testing"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

func TestVariantFollowsAccept(t *testing.T) {
	tests := []struct {
		accept []string
		want   string
	}{
		{nil, packument.Full},
		{[]string{""}, packument.Full},
		{[]string{"application/json"}, packument.Full},
		{[]string{"*/*"}, packument.Full},
		{[]string{"application/*"}, packument.Full},
		{[]string{"application/json; q=1.0, */*"}, packument.Full},
		{[]string{"application/json, */*"}, packument.Full},
		{[]string{abbreviatedList}, packument.Abbreviated},
		{[]string{"application/vnd.npm.install-v1+json"}, packument.Abbreviated},
		{[]string{"APPLICATION/VND.NPM.INSTALL-V1+JSON;Q=1"}, packument.Abbreviated},
		{[]string{"application/vnd.npm.install-v1+json;charset=utf-8;q=0.9, application/json;q=0.8"}, packument.Abbreviated},
		{[]string{`application/vnd.npm.install-v1+json;p="a,b;q=0\"";q=0.9, application/json;q=0.8`}, packument.Abbreviated},
		{[]string{"application/vnd.npm.install-v1+json, application/json"}, packument.Abbreviated},
		{[]string{"application/vnd.npm.install-v1+json;q=0.5, */*"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q=0.5, application/json;q=0.4, */*"}, packument.Abbreviated},
		{[]string{"application/vnd.npm.install-v1+json;q=0.5, application/*;q=0.4, */*"}, packument.Abbreviated},
		{[]string{"application/vnd.npm.install-v1+json;q=0.5, application/*;q=0.6, */*;q=0.1"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q=0"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q=0.000, */*;q=0"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q=0.799, application/json;q=0.8"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json ; q=0.8 , application/json ; q=0.8"}, packument.Abbreviated},
		{[]string{"application/json;q=0.8", "application/vnd.npm.install-v1+json"}, packument.Abbreviated},
		{[]string{"application/vnd.npm.install-v1+json;q=oops"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q=2"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q="}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q=1.001"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q=0.1234"}, packument.Full},
		{[]string{"application/vnd.npm.install-v1+json;q=1;q=0"}, packument.Abbreviated},
		{[]string{"application/vnd.npm.install-v1+jsonx"}, packument.Full},
		{[]string{",;,;;q=,\"", "\\"}, packument.Full},
	}
	k := newKind("http://edge.example")
	for _, test := range tests {
		r := k.Route(kind.Request{Method: "GET", Path: "/n", Header: http.Header{"Accept": test.accept}})
		if r.Variant != test.want {
			t.Errorf("%q: got %q, want %q", test.accept, r.Variant, test.want)
		}
		for _, path := range []string{"/n/1.0.0", "/n/-/n-1.tgz", "/-/package/n/dist-tags"} {
			r := k.Route(kind.Request{Method: "GET", Path: path, Header: http.Header{"Accept": test.accept}})
			if r.Variant != "" && (r.Variant != packument.Full || r.Subdocument.Name == "") {
				t.Errorf("%s: has variant %q", path, r.Variant)
			}
		}
	}
}
