package links

import (
	"net/http"
	"testing"
)

func TestAcceptedCoding(t *testing.T) {
	for accept, want := range map[string]string{
		"": "identity", "gzip, deflate, br": "gzip", "br, GZIP;q=0.5": "gzip", "gzip;q=0": "identity", "gzip; q=0.000, br": "identity", "zstd,gzip": "gzip", "*": "identity",
	} {
		if got := AcceptedCoding(http.Header{"Accept-Encoding": {accept}}); got != want {
			t.Errorf("%q: %s; want %s", accept, got, want)
		}
	}
}

func FuzzRelink(f *testing.F) {
	f.Add(`{"doneUrl":"http://m/-/x","urls":{"next":""},"a":[1,{"b":"c"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		out, ok := relink([]byte(body), []string{"/doneUrl", "/*/next"}, func(u string) (string, bool) { return "http://e/", u != "http://e/" })
		if again, twice := relink(out, []string{"/doneUrl", "/*/next"}, func(u string) (string, bool) { return "http://e/", u != "http://e/" }); ok && twice {
			t.Errorf("%q became %q, and then %q", body, out, again)
		}
	})
}
