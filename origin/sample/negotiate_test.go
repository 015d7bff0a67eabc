package sample_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"slices"
	"testing"
)

func TestAcceptNamesTheVariant(t *testing.T) {
	m, s := serve(t, samples(t))
	c := client(t)
	for accept, want := range map[string]string{
		"*/*":                                 "full",
		"application/json; q=1.0, */*":        "full",
		"application/vnd.npm.install-v1+json": "abbreviated",
		"application/vnd.npm.install-v1+json;q=0.1, application/json;q=0.5": "full",
		"application/vnd.npm.install-v1+json;q=0":                           "full",
		"application/vnd.npm.install-v1+json;q=x, ;;, */*":                  "full",
	} {
		m.Forget()
		send(t, c, "GET", s.URL()+"/edge-sample-app", "", "Accept: "+accept)
		if got := m.Requests()[0].Variant; got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
}

func TestMetadataIsNegotiated(t *testing.T) {
	_, s := serve(t, samples(t))
	c := client(t)
	url := s.URL() + "/edge-sample-words"
	full, short := send(t, c, "GET", url, "", "Accept: application/json"), send(t, c, "GET", url, "", abbreviated)
	for _, tc := range []struct {
		got  reply
		kind string
	}{{full, "application/json"}, {short, "application/vnd.npm.install-v1+json"}} {
		h := tc.got.header
		if h.Get("Content-Type") != tc.kind || h.Get("Cache-Control") != "public, max-age=300" ||
			h.Get("Vary") != "Accept-Encoding, Accept" || h.Get("Last-Modified") == "" || h.Get("Etag") == "" {
			t.Errorf("headers of %s: %v", tc.kind, h)
		}
	}
	if full.header.Get("Etag") == short.header.Get("Etag") {
		t.Error("both variants have one ETag")
	}
	keys := slices.Sorted(maps.Keys(decode[map[string]any](t, short.body)))
	if want := []string{"dist-tags", "modified", "name", "versions"}; !slices.Equal(keys, want) {
		t.Errorf("abbreviated has %q", keys)
	}
	if got := decode[packument](t, short.body).Versions["0.9.0"].Deprecated; got == "" {
		t.Error("abbreviated lost the deprecation")
	}

	zipped := send(t, c, "GET", url, "", "Accept-Encoding: gzip, deflate")
	if zipped.header.Get("Content-Encoding") != "gzip" || zipped.header.Get("Etag") == full.header.Get("Etag") {
		t.Errorf("gzip headers: %v", zipped.header)
	}
	r, err := gzip.NewReader(bytes.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, full.body) {
		t.Errorf("gzip holds another document (%v)", err)
	}
	if got := send(t, c, "GET", url, "", "Accept-Encoding: gzip;q=0"); got.header.Get("Content-Encoding") != "" {
		t.Error("gzip was sent to a client that refuses it")
	}
}
