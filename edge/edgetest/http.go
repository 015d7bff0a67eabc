package edgetest

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

// QuietLog writes nothing.
func QuietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// NoLeaks fails a test that leaves goroutines behind.
func NoLeaks(t *testing.T) {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) })
}

// NewClient is an HTTP client with connections of its own, which are closed when
// the test ends. A request fails that takes longer than Patience.
func NewClient(t testing.TB, config *tls.Config) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: Patience}
}

// GetText gets a URL and reads the body.
func GetText(t testing.TB, c *http.Client, url string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}
