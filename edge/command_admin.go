package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"pkgedge/edge/config"
	"pkgedge/edge/report"
	"pkgedge/origin/kinds"
)

// What the commands that talk to a running edge share.

// Where the edge listens when its configuration does not say.
const (
	usualAdmin = "http://127.0.0.1:8081"
	usualEdge  = "http://127.0.0.1:8080"
)

const (
	adminTimeout   = 30 * time.Second
	maxAdminAnswer = 16 << 20 // bytes
)

// adminFlags say where the admin listener is.
type adminFlags struct {
	Admin string `placeholder:"URL" help:"Admin listener of the edge. Default: http://127.0.0.1:8081."`
	Token string `placeholder:"TOKEN" help:"Its bearer token. Default: the environment variable EDGE_ADMIN_TOKEN, which does not show in the list of processes."`
}

// A usageError is the caller's mistake.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitFor prints what went wrong and returns the exit code.
func exitFor(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "edge:", err)
	if errors.As(err, &usageError{}) {
		return exitUsage
	}
	return exitError
}

// baseURL reads the URL given for a flag.
func baseURL(flag, text string) (*url.URL, error) {
	u, err := config.ParseBase(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %q %w", flag, text, err)}
	}
	return u, nil
}

// adminClient asks an edge's admin listener.
type adminClient struct {
	base  string
	token string
	http  *http.Client
}

// client returns the client that the flags describe. It is closed with
// CloseIdleConnections.
func (f adminFlags) client(env func(string) (string, bool)) (*adminClient, error) {
	if f.Admin == "" {
		f.Admin = usualAdmin
	}
	base, err := baseURL("--admin", f.Admin)
	if err != nil {
		return nil, err
	}
	if f.Token == "" {
		f.Token, _ = env("EDGE_ADMIN_TOKEN")
	}
	return &adminClient{base: base.String(), token: f.Token, http: &http.Client{
		Transport: http.DefaultTransport.(*http.Transport).Clone(),
		Timeout:   adminTimeout,
		// A token is for the server that was named, and no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (c *adminClient) close() { c.http.CloseIdleConnections() }

// status returns the text of /status.
func (c *adminClient) status(ctx context.Context) ([]byte, error) {
	return c.ask(ctx, http.MethodGet, "/status", nil)
}

// ask sends a request, with body as JSON unless it is nil, and returns the
// answer's body.
func (c *adminClient) ask(ctx context.Context, method, path string, body any) ([]byte, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, sent)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the admin listener at %s: %w", c.base, report.Cause(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAdminAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the answer of %s: %w", c.base, err)
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("%s wants its token: set EDGE_ADMIN_TOKEN, or --token", c.base)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %w", c.base, &unwantedError{resp.StatusCode, text, report.Refusal(resp.Status, text)})
	}
	return text, nil
}

// unwantedError is an answer that is not the one wanted.
type unwantedError struct {
	status int
	body   []byte
	error
}

// publicSite returns the public URL of a site whose clients have lock files: the
// one of that name, or the only one.
func (c *adminClient) publicSite(ctx context.Context, name string) (string, error) {
	text, err := c.status(ctx)
	if err != nil {
		return "", err
	}
	var doc struct {
		Sites []struct {
			Name   string `json:"name"`
			Kind   string `json:"kind"`
			Public string `json:"public"`
		} `json:"sites"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return "", fmt.Errorf("cannot read the status of %s: %w", c.base, err)
	}
	var public, names, of []string
	for _, d := range kinds.All() {
		if d.Lockfiles {
			of = append(of, d.Name)
		}
	}
	for _, s := range doc.Sites {
		if slices.Contains(of, s.Kind) && (name == "" || s.Name == name) {
			public, names = append(public, s.Public), append(names, s.Name)
		}
	}
	wanted := strings.Join(of, " or ")
	switch {
	case len(public) == 1:
		return public[0], nil
	case name != "":
		return "", usageError{fmt.Errorf("--site: %s has no site %q of kind %s", c.base, name, wanted)}
	case len(public) == 0:
		return "", usageError{fmt.Errorf("%s has no site of kind %s", c.base, wanted)}
	}
	return "", usageError{fmt.Errorf("%s has several sites of kind %s: choose with --site one of %s", c.base, wanted, strings.Join(names, ", "))}
}
