package sample_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// samples is the sample content.
func samples(t *testing.T) *sample.Store {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// serve starts a master below /registry.
func serve(t *testing.T, store *sample.Store, options ...faults.Option) (*faults.Master, *sample.Server) {
	t.Helper()
	m := faults.NewMaster(store, append([]faults.Option{faults.Under("/registry")}, options...)...)
	s, err := m.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return m, s
}

// client is a client that neither unpacks gzip nor follows redirects.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reply is a response that was read, and the error that ended its body.
type reply struct {
	status int
	header http.Header
	length int64
	body   []byte
	cut    error
}

// send makes a request with headers given as "Name: value".
func send(t *testing.T, c *http.Client, method, url, body string, headers ...string) reply {
	t.Helper()
	got, err := try(t, c, method, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func try(t *testing.T, c *http.Client, method, url, body string, headers ...string) (reply, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	read, cut := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, resp.ContentLength, read, cut}, nil
}

// decode reads JSON.
func decode[T any](t *testing.T, raw []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v in %.200q", err, raw)
	}
	return v
}

// packument has the members that the tests look at.
type packument struct {
	ID       string            `json:"_id"`
	Rev      string            `json:"_rev"`
	Name     string            `json:"name"`
	Modified string            `json:"modified"`
	Tags     map[string]string `json:"dist-tags"`
	Time     map[string]string `json:"time"`
	Readme   string            `json:"readme"`
	Versions map[string]struct {
		Deprecated       string `json:"deprecated"`
		HasInstallScript bool   `json:"hasInstallScript"`
		Dist             struct {
			Integrity, Shasum, Tarball string
		} `json:"dist"`
	} `json:"versions"`
}

const abbreviated = "Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
