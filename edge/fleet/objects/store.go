package objects

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Config describes a store.
type Config struct {
	Bucket, Prefix string
	Endpoint       *url.URL // nil for that of AWS in Region
	Region         string   // "" for us-east-1
	Key, Secret    string   // "" for a store that asks for no signatures
	Log            *slog.Logger

	FirstByte time.Duration // the longest wait for the fields of an answer; 0 for 500 ms
}

const (
	firstByte = 500 * time.Millisecond
	// putLimit bounds a PUT, which no client waits for.
	putLimit = 10 * time.Minute
	// maxQueue bounds the files that wait to be put. A place in it is a name and a function.
	maxQueue = 1024
	// clockMargin is how far the clocks of two edges may differ: a file that was received
	// less than that after a purge may be from before it.
	clockMargin = time.Minute
)

// Store is a store of objects. It is safe for concurrent use.
type Store struct {
	cfg       Config
	base      string // the URL before a key
	prefix    string // the end of it, that is a part of the object's name
	signer    *v4.Signer
	transport *http.Transport
	queue     chan kept
	forgets   forgets
	health    health
	counts    counts
}

type counts struct {
	asked, answered, missing, failed, unusable, bytes atomic.Int64
	put, putBytes, had, dropped, putFailed, deleted   atomic.Int64
}

// New returns a store, which is not asked for anything yet.
func New(cfg Config) *Store {
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.FirstByte == 0 {
		cfg.FirstByte = firstByte
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	base := fmt.Sprintf("https://%s.s3.%s.amazonaws.com/", cfg.Bucket, cfg.Region)
	if cfg.Endpoint != nil {
		base = strings.TrimSuffix(cfg.Endpoint.String(), "/") + "/" + url.PathEscape(cfg.Bucket) + "/"
	}
	prefix := strings.Trim(cfg.Prefix, "/")
	if prefix != "" {
		prefix += "/"
	}
	dialer := &net.Dialer{Timeout: time.Second, KeepAlive: 30 * time.Second}
	return &Store{
		cfg: cfg, base: base + prefix, prefix: prefix, queue: make(chan kept, maxQueue), forgets: forgets{more: make(chan struct{}, 1)},
		signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: time.Second,
			MaxIdleConnsPerHost: 64, MaxConnsPerHost: 256, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
			ExpectContinueTimeout: time.Second, DisableCompression: true, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10,
		},
	}
}

// Close closes the connections that no request uses.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

// emptyHash is the SHA-256 of no bytes.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// errSilent is a store that does not begin to answer.
var errSilent = errors.New("it does not answer in time")

// statusError is an answer that is no good.
type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("it answered %d %s", int(e), http.StatusText(int(e)))
}

// send signs a request and sends it. Only the wait for the fields is bounded here, by wait,
// 0 for none; cancel ends ctx.
func (s *Store) send(ctx context.Context, cancel context.CancelCauseFunc, req *http.Request, hash string, wait time.Duration) (*http.Response, error) {
	req.Header.Set("X-Amz-Content-Sha256", hash)
	if s.cfg.Key == "" {
		return s.transmit(ctx, cancel, req, wait)
	}
	credentials := aws.Credentials{AccessKeyID: s.cfg.Key, SecretAccessKey: s.cfg.Secret}
	if err := s.signer.SignHTTP(ctx, credentials, req, hash, "s3", s.cfg.Region, time.Now().UTC()); err != nil {
		return nil, fmt.Errorf("cannot sign: %w", err)
	}
	return s.transmit(ctx, cancel, req, wait)
}

func (s *Store) transmit(ctx context.Context, cancel context.CancelCauseFunc, req *http.Request, wait time.Duration) (*http.Response, error) {
	if wait > 0 {
		late := time.AfterFunc(wait, func() { cancel(errSilent) })
		defer late.Stop()
	}
	begun := time.Now()
	resp, err := s.transport.RoundTrip(req)
	if err == nil && wait > 0 {
		s.health.took(time.Since(begun))
	}
	if cause := context.Cause(ctx); cause != nil {
		if err == nil {
			resp.Body.Close()
		}
		return nil, cause
	}
	return resp, err
}

// keyOf is the key of a file by its digest. ok is false for a digest that is not strong enough
// to find something by.
func keyOf(algorithm string, sum []byte) (key string, ok bool) {
	switch {
	case algorithm == "sha512" && len(sum) == 64, algorithm == "sha256" && len(sum) == 32:
		return "cas/" + algorithm + "/" + hex.EncodeToString(sum), true
	}
	return "", false
}

func (s *Store) request(ctx context.Context, method, key string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, s.base+key, nil)
	if err != nil {
		panic(err) // the base was a URL, and keys are plain
	}
	return req
}
