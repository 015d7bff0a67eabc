package main

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// master is a registry that counts.
type master struct {
	url    string
	server *http.Server
	files  map[string][]byte
	docs   map[string][]byte

	mu    sync.Mutex
	count map[string]int
}

func documentOf(i int) string { return fmt.Sprintf("/package-%d", i) }
func fileOf(i int) string     { return fmt.Sprintf("/package-%d/-/package-%d-1.0.0.tgz", i, i) }

// newMaster has n packages, each with a file: a large one each tenth time, unless all are small.
func newMaster(n int, small bool) (*master, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &master{url: "http://" + l.Addr().String(), files: make(map[string][]byte), docs: make(map[string][]byte), count: make(map[string]int)}
	noise := rand.NewChaCha8([32]byte{1})
	for i := range n {
		file := make([]byte, 20<<10)
		if i%10 == 0 && !small {
			file = make([]byte, 3<<20)
		}
		noise.Read(file)
		copy(file, "\x1f\x8b")
		sum := sha512.Sum512(file)
		m.files[fileOf(i)] = file
		m.docs[documentOf(i)] = fmt.Appendf(nil, `{"name":"package-%d","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"package-%d","version":"1.0.0",`+
			`"dist":{"integrity":"sha512-%s","tarball":"%s%s"}}}}`, i, i, base64.StdEncoding.EncodeToString(sum[:]), m.url, fileOf(i))
	}
	m.server = &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	go m.server.Serve(l)
	return m, nil
}

// ServeHTTP answers with some delay, as a registry does.
func (m *master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if path == "/-/ping" {
		io.WriteString(w, "{}")
		return
	}
	m.mu.Lock()
	m.count[path]++
	m.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	w.Header().Set("Etag", `"1"`)
	if doc, ok := m.docs[path]; ok {
		w.Header().Set("Content-Type", "application/json")
		w.Write(doc)
		return
	}
	if file, ok := m.files[path]; ok {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

// fetched is how many things were asked for so many times.
func (m *master) fetched() map[int]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	things := make(map[int]int)
	for i := range packages {
		things[m.count[documentOf(i)]]++
		things[m.count[fileOf(i)]]++
	}
	return things
}

// requests is how often the master was asked.
func (m *master) requests() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, count := range m.count {
		n += count
	}
	return n
}
