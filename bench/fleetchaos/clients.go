package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"pkgedge/edge/fleet/figures"
)

// patience is how long a client waits for an answer, and pause how long between two.
const patience, pause = 30 * time.Second, 30 * time.Millisecond

// errCut is for a request whose edge was killed meanwhile.
var errCut = errors.New("the edge was killed")

// get is a request of a client to an edge.
func (f *fleet) get(e *edge, kind, path string) ([]byte, error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	body, err := fetch(ctx, e.public+path)
	if err != nil && !e.ran(begun) {
		return nil, errCut
	}
	f.world.request(kind, time.Since(begun))
	return body, err
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d %.200q, %s", resp.StatusCode, body, resp.Header.Get("Cache-Status"))
	}
	return body, err
}

// some is an edge that runs.
func (f *fleet) some(ctx context.Context) *edge {
	for ctx.Err() == nil {
		if e := f.edges[rand.IntN(size)]; e.alive() {
			return e
		}
		time.Sleep(pause)
	}
	return f.edges[0]
}

// client asks until ctx is done.
func (f *fleet) client(ctx context.Context) {
	for ctx.Err() == nil {
		e := f.some(ctx)
		name, newest := f.world.some()
		var err error
		if rand.IntN(2) == 0 {
			_, err = f.version(e, "document", name)
		} else {
			err = f.tarball(e, tarballOf(name, 1+rand.IntN(newest)))
		}
		if err != nil && !errors.Is(err, errCut) {
			f.world.complain("%s: %s: %v", e.name, name, err)
		}
		time.Sleep(rand.N(2 * pause))
	}
}

// version is the newest version in a document at an edge.
func (f *fleet) version(e *edge, kind, name string) (newest int, err error) {
	body, err := f.get(e, kind, "/"+name)
	if err != nil {
		return 0, err
	}
	var doc struct {
		Name     string
		Versions map[string]any
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.Name != name {
		return 0, fmt.Errorf("a wrong document, of %q: %w", doc.Name, err)
	}
	return len(doc.Versions), nil
}

func (f *fleet) tarball(e *edge, path string) error {
	body, err := f.get(e, "tarball", path)
	if err != nil {
		return err
	}
	sum, err := f.world.sum(path)
	if err != nil {
		return err
	}
	if sha256.Sum256(body) != sum {
		return fmt.Errorf("%s: %d wrong bytes", path, len(body))
	}
	return nil
}

// publisher publishes packages, and purges them at an edge, until ctx is done.
func (f *fleet) publisher(ctx context.Context) error {
	for ctx.Err() == nil {
		name, _ := f.world.some()
		version, err := f.world.publish(name)
		if err != nil {
			return err
		}
		for ctx.Err() == nil { // an edge that dies amid a purge has told nobody that it is in force
			e := f.some(ctx)
			spread, err := e.purge(name, rand.IntN(2) == 0)
			if err != nil {
				if e.ran(time.Now().Add(-patience)) && ctx.Err() == nil {
					f.world.complain("%s: a purge of %s: %v", e.name, name, err)
				}
				time.Sleep(pause)
				continue
			}
			f.world.answered(name, version)
			f.inForce(e, spread, name, version)
			break
		}
		time.Sleep(rand.N(600 * time.Millisecond))
	}
	return nil
}

// inForce looks whether a purge is in force where it is said to be.
func (f *fleet) inForce(at *edge, spread *figures.Spread, name string, version int) {
	everywhere := spread != nil && spread.Durable && spread.Applied == size
	f.world.trouble(map[bool]string{true: "purges in force at all edges", false: "purges told later"}[everywhere])
	for _, e := range f.edges {
		if e != at && !everywhere {
			continue
		}
		if is, err := f.version(e, "after a purge", name); err == nil && is < version {
			f.world.complain("%s: %s has %d versions after a purge that is in force, want %d", e.name, name, is, version)
		}
	}
}

// purge is an operator's.
func (e *edge) purge(name string, soft bool) (*figures.Spread, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.admin+"/purge?wait=2s", bytes.NewReader(fmt.Appendf(nil, `{"package":%q,"soft":%t}`, name, soft)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var done struct {
		Covers struct{ Fleet *figures.Spread }
		Error  string
	}
	if err := json.NewDecoder(resp.Body).Decode(&done); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		return nil, fmt.Errorf("answered %d: %s", resp.StatusCode, done.Error)
	}
	return done.Covers.Fleet, nil
}
