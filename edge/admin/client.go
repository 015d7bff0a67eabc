package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"pkgedge/edge/report"
)

// Limits of a call.
const (
	clientTimeout  = 30 * time.Second
	maxClientReply = 16 << 20 // bytes
)

// Client calls the admin API of a running edge. It is the [Purger], [Drainer] and
// [Reloader] of that edge; only the error of Reload is typed. All texts of an
// error are safe to print. Its methods may be called concurrently.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient returns a client of the admin listener at base, a URL without a slash
// at its end. A token of "" sends none.
func NewClient(base, token string) *Client {
	return &Client{base: base, token: token, http: &http.Client{
		Transport: http.DefaultTransport.(*http.Transport).Clone(),
		Timeout:   clientTimeout,
		// The token is for the server that was named, and for no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the idle connections of the client.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Base returns the URL of the admin listener.
func (c *Client) Base() string { return c.base }

// Status returns the document of GET /status as it was sent, and its content.
func (c *Client) Status(ctx context.Context) ([]byte, *report.Status, error) {
	text, err := c.call(ctx, http.MethodGet, "/status", nil)
	if err != nil {
		return nil, nil, err
	}
	doc, err := report.Parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the status of %s: %w", c.base, err)
	}
	return text, doc, nil
}

// Purge has the edge forget the responses that p names.
func (c *Client) Purge(ctx context.Context, p Purge) (Purged, error) {
	path := "/purge"
	if p.Wait > 0 {
		path += "?wait=" + p.Wait.String()
	}
	reply, err := decode[purgeAnswer](c, ctx, path, p)
	return reply.Covers, err
}

// Drain takes a master out of rotation, or puts it back.
func (c *Client) Drain(ctx context.Context, site, master string, drained bool) (Rotation, error) {
	verb := "undrain"
	if drained {
		verb = "drain"
	}
	return decode[Rotation](c, ctx, "/masters/"+url.PathEscape(site)+"/"+url.PathEscape(master)+"/"+verb, nil)
}

// Reload has the edge read its configuration again. Its error is a [*Refused] when
// the configuration has mistakes.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	done, err := decode[Reloaded](c, ctx, "/reload", nil)
	refusal := (*refusalError)(nil)
	if errors.As(err, &refusal) && refusal.status == http.StatusUnprocessableEntity {
		var doc struct {
			Mistakes []string `json:"mistakes"`
		}
		if json.Unmarshal(refusal.body, &doc) == nil && len(doc.Mistakes) > 0 {
			refused := new(Refused)
			for _, m := range doc.Mistakes {
				refused.Mistakes = append(refused.Mistakes, report.Printable(m))
			}
			return Reloaded{}, refused
		}
	}
	return done, err
}

// decode posts body, as JSON unless it is nil, and reads the reply.
func decode[T any](c *Client, ctx context.Context, path string, body any) (reply T, err error) {
	text, err := c.call(ctx, http.MethodPost, path, body)
	if err != nil {
		return reply, err
	}
	return reply, c.unmarshal(text, &reply)
}

// unmarshal reads a reply.
func (c *Client) unmarshal(text []byte, reply any) error {
	if err := json.Unmarshal(text, reply); err != nil {
		return fmt.Errorf("cannot read the answer of %s: %w", c.base, err)
	}
	return nil
}

// refusalError is a reply with another status than 200.
type refusalError struct {
	status int
	body   []byte
	error
}

// call sends a request, with body as JSON unless it is nil, and returns the body
// of the reply.
func (c *Client) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	reply, err := c.open(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer reply.Close()
	return c.read(reply)
}

// open is call, of a reply that is still to be read.
func (c *Client) open(ctx context.Context, method, path string, body any) (reply io.ReadCloser, err error) {
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
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, fmt.Errorf("%s wants its token: set EDGE_ADMIN_TOKEN, or --token", c.base)
	}
	text, err := c.read(resp.Body)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s answers %w", c.base, &refusalError{resp.StatusCode, text, report.Refusal(resp.Status, text)})
}

// read reads a reply whole.
func (c *Client) read(reply io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(reply, maxClientReply))
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s: %w", c.base, err)
	}
	return text, nil
}
