package fetch

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
	"pkgedge/origin/pool"
	"pkgedge/origin/transport"
)

// largestCompanion is the size of the largest companion, in bytes.
const largestCompanion = 1 << 20

// fetchCompanions gets the documents that belong to another one (kind.Route.Beside),
// from the master that sent that. A companion that the master does not have is left
// out.
func (f *Fetcher) fetchCompanions(ctx context.Context, m *health.Master, a pool.Request) (map[string][]byte, error) {
	all := make(map[string][]byte, len(a.Route.Companions))
	for _, path := range a.Route.Companions {
		status, body, err := f.getCompanion(ctx, m, a, path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("cannot get %s beside it: %w", path, err)
		case status == http.StatusOK:
			all[path] = body
		case !transport.Absence(status):
			return nil, fmt.Errorf("cannot get %s beside it: %w", path, &transport.StatusError{Status: status})
		}
	}
	return all, nil
}

// getCompanion asks one master for a small document.
func (f *Fetcher) getCompanion(ctx context.Context, m *health.Master, a pool.Request, path string) (status int, body []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := f.masters.Send(ctx, cancel, m, companionOf(a, path))
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return r.StatusCode, nil, nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, largestCompanion+1))
	if err == nil && len(body) > largestCompanion {
		err = fmt.Errorf("%w: more than %d bytes", errLarge, largestCompanion)
	}
	return r.StatusCode, body, err
}

// headCompanion says whether a master answers for a file, which may be a large one.
func (f *Fetcher) headCompanion(ctx context.Context, m *health.Master, a pool.Request, path string) bool {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req := companionOf(a, path)
	req.Head = true
	r, err := f.masters.Send(ctx, cancel, m, req)
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

func companionOf(a pool.Request, path string) *pool.Request {
	return &pool.Request{Route: kind.Route{Class: kind.File, Path: path}, Header: a.Header}
}
