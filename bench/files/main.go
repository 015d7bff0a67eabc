// Command files writes the coverage counters of single requests, each into a folder of its own.
// files.sh builds it with counters, runs it, and counts the files of this module that each request
// entered. docs/decisions/0020 says why they are counted.
//
// An edge and a sample master run in this process, so the master's files are among the counters.
// The requests are npm's. Each kind of request has been sent for another package beforehand, so
// that nothing is done for the first time.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/coverage"
	"time"

	"pkgedge/edge/config"
	"pkgedge/edge/daemon"
	"pkgedge/origin/kinds"
	"pkgedge/origin/sample"
)

// quiet is the time before and after a request, in which the work behind an answer ends: the
// access log's line, the write to disk, the connection that is given back.
const quiet = 300 * time.Millisecond

// requests are sent in this order. A name that is "" is a request beforehand.
var requests = []struct{ name, path string }{
	{"", "/edge-sample-app"},
	{"", "/edge-sample-app"},
	{"", "/edge-sample-app"},
	{"", "/edge-sample-app/-/edge-sample-app-1.0.0.tgz"},
	{"", "/edge-sample-app/-/edge-sample-app-1.0.0.tgz"},
	{"packument-miss", "/edge-sample-words"},
	{"packument-first-hit", "/edge-sample-words"},
	{"packument-hit", "/edge-sample-words"},
	{"tarball-miss", "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"},
	{"tarball-first-hit", "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"},
	{"tarball-hit", "/edge-sample-words/-/edge-sample-words-1.0.0.tgz"},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: files FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "files:", err)
		os.Exit(1)
	}
}

// run starts the edge and its master, and sends the requests.
func run(out string) error {
	store, err := sample.Samples()
	if err != nil {
		return err
	}
	master, err := sample.NewMaster(store, sample.Options{}).Start()
	if err != nil {
		return err
	}
	defer master.Close()
	address, err := freeAddress()
	if err != nil {
		return err
	}
	path := filepath.Join(out, "config.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, `
listen: %s
admin: { listen: "" }
cache: { dir: %s, disk: 64MiB, memory: 64MiB }
log: { access: json }
sites:
  - name: npm
    kind: npm
    probe: { every: 1h }
    masters: [ { url: "%s", role: primary } ]
`, address, filepath.Join(out, "cache"), master.URL()), 0o600); err != nil {
		return err
	}
	source := config.Source{Path: path, Kinds: kinds.All(), Env: os.LookupEnv}
	cfg, err := source.Load()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() {
		stopped <- daemon.Run(ctx, daemon.Options{
			Config: cfg, Source: source, Out: io.Discard, Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar),
		})
	}()
	err = measure(out, "http://"+address)
	stop()
	return errors.Join(err, <-stopped)
}

// freeAddress returns an address of loopback that nothing listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// measure sends each request on one connection, and writes the counters of it alone.
func measure(out, base string) error {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, MaxConnsPerHost: 1}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for i := 0; ; i++ {
		err := get(client, base+"/-/ping")
		if err == nil {
			break
		}
		if i == 50 {
			return fmt.Errorf("the edge does not answer: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, r := range requests {
		time.Sleep(quiet)
		if err := coverage.ClearCounters(); err != nil {
			return err
		}
		if err := get(client, base+r.path); err != nil {
			return err
		}
		time.Sleep(quiet)
		if r.name == "" {
			continue
		}
		dir := filepath.Join(out, r.name)
		if err := errors.Join(os.Mkdir(dir, 0o700), coverage.WriteMetaDir(dir), coverage.WriteCountersDir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// get sends one request with npm's fields, and reads the answer to its end.
func get(client *http.Client, url string) error {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*")
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
