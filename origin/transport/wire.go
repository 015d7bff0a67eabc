package transport

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// Wire is how far a request has come on its way from a client to a master. The zero Wire is at its
// beginning. It is safe for concurrent use.
type Wire struct {
	sound atomic.Bool
	sent  atomic.Bool
	fault atomic.Pointer[error]
}

// Sound says that a connection was asked for, which net/http does for a sound request.
func (w *Wire) Sound() bool { return w.sound.Load() }

// Sent says that there was a connection: the master may have the request.
func (w *Wire) Sent() bool { return w.sent.Load() }

// Fault is why the rest of the body does not come from the client, nil if it comes.
func (w *Wire) Fault() error {
	if err := w.fault.Load(); err != nil {
		return *err
	}
	return nil
}

// Watch returns a context for the request.
func (w *Wire) Watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { w.sound.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.sent.Store(true) },
	})
}

// Body is the body of the request for a client's one.
func (w *Wire) Body(body io.ReadCloser) io.ReadCloser { return &clientBody{body, w} }

// clientBody tells a wire of a body that does not come whole.
type clientBody struct {
	io.ReadCloser
	wire *Wire
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && err != http.ErrBodyReadAfterClose { // the last is net/http's own doing
		b.wire.fault.Store(&err)
	}
	return n, err
}
