package redact

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func noDeadline(time.Time) error { return http.ErrNotSupported }

func upper(body []byte) ([]byte, error) { return bytes.ToUpper(body), nil }

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func TestRequestIsRewritten(t *testing.T) {
	for _, tt := range []struct{ coding, body string }{{"", "words"}, {"identity", "words"}, {"gzip", zipped("words")}} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
		if tt.coding != "" {
			r.Header.Set("Content-Encoding", tt.coding)
		}
		if err := New().Request(r, noDeadline, upper); err != nil {
			t.Fatalf("%q: %v", tt.coding, err)
		}
		body, _ := io.ReadAll(r.Body)
		if string(body) != "WORDS" || r.ContentLength != 5 || r.Header.Get("Content-Length") != "5" || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%q: %q of %d bytes, %v", tt.coding, body, r.ContentLength, r.Header)
		}
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	d := New()
	if d.largest != MaxBody {
		t.Errorf("the largest body is of %d bytes", d.largest)
	}
	d.largest = 2 * smallBody // the race detector makes large ones dear
	large := strings.Repeat("x", d.largest+1)
	for _, tt := range []struct{ coding, body string }{{"br", "words"}, {"gzip", "words"}, {"", large}, {"gzip", zipped(large)}} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
		r.Header.Set("Content-Encoding", tt.coding)
		if tt.coding == "" {
			r.Header.Del("Content-Encoding")
		}
		if err := d.Request(r, noDeadline, upper); err == nil {
			t.Errorf("coding %q, %d bytes: no error", tt.coding, len(tt.body))
		}
	}
}

func TestResponseLosesTheFieldsOfItsOldBody(t *testing.T) {
	resp := &http.Response{Header: http.Header{"Etag": {`"a"`}, "Digest": {"x"}, "Content-Encoding": {"gzip"}}, Body: io.NopCloser(strings.NewReader(zipped("words")))}
	if err := New().Response(t.Context(), resp, upper); err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "WORDS" || len(resp.Header) != 1 || resp.Header.Get("Content-Length") != "5" {
		t.Errorf("%q, %v", body, resp.Header)
	}
}

// A body waits for a slot, and not without end.
func TestLargeBodiesWaitForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New()
		var release []func()
		for range maxConcurrent {
			f, err := acquire(t.Context(), d.reading)
			if err != nil {
				t.Fatal(err)
			}
			release = append(release, f)
		}
		large := strings.Repeat("x", smallBody)
		if _, err := d.readAll(context.Background(), strings.NewReader(large[1:])); err != nil {
			t.Errorf("a small body: %v", err)
		}
		if _, err := d.readAll(context.Background(), strings.NewReader(large)); !errors.Is(err, ErrBusy) {
			t.Errorf("a large body: %v; want ErrBusy", err)
		}
		release[0]()
		if _, err := d.readAll(context.Background(), strings.NewReader(large)); err != nil {
			t.Errorf("a large body, with a slot: %v", err)
		}
	})
}
