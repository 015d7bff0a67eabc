package framing

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pkgedge/edge/edgetest"
)

// fileOf returns an open file of those bytes.
func fileOf(t *testing.T, b []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i / 7)
	}
	return b
}

// securePair returns two ends of a TLS connection, the second with a guard, and counts the
// writes below it.
func securePair(t *testing.T, g *Guard) (client net.Conn, c *Conn, writes *writeCount) {
	t.Helper()
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	loaded, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	writes = &writeCount{Conn: far}
	server := tls.Server(BelowTLS(writes, nil), &tls.Config{Certificates: []tls.Certificate{loaded}, DynamicRecordSizingDisabled: true})
	secure := tls.Client(near, &tls.Config{InsecureSkipVerify: true})
	t.Cleanup(func() { near.Close(); far.Close() })
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := edgetest.Receive(t, done, "a handshake"); err != nil {
		t.Fatal(err)
	}
	return secure, g.Wrap(server).(*secureConn).Conn, writes
}

type writeCount struct {
	net.Conn
	mu     sync.Mutex
	writes int
}

func (w *writeCount) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.writes++
	w.mu.Unlock()
	return w.Conn.Write(p)
}

func (w *writeCount) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// An answer arrives whole, in memory or in a file, on each kind of connection.
func TestBodies(t *testing.T) {
	g := &Guard{Stalled: edgetest.Patience}
	text := counting(1<<20 + 5)
	f := fileOf(t, text)
	secure, overTLS, _ := securePair(t, g)
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	tcp, overTCP := tcpPair(t)
	for name, conn := range map[string]struct {
		client net.Conn
		c      *Conn
	}{"TCP": {tcp, overTCP}, "TLS": {secure, overTLS}, "another": {near, g.Wrap(far).(*plainConn).Conn}} {
		for _, headSize := range []int{100, recordSize - 1, recordSize, 70_000} {
			for _, size := range []int{0, 1, recordSize, 60_000, 64 << 10, heldSize, 1 << 20} {
				for kind, body := range map[string]Body{
					"in memory":              {Bytes: text[5 : 5+size]},
					"in a file":              {File: f, Offset: 5, Length: int64(size)},
					"in a file, read before": {File: f, Offset: 5, Length: int64(size), Cached: true},
				} {
					head := bytes.Repeat([]byte("h"), headSize)
					want := append(head[:len(head):len(head)], text[5:5+size]...)
					got := make(chan []byte, 1)
					go func() {
						all := make([]byte, len(want))
						n, _ := io.ReadFull(conn.client, all)
						got <- all[:n]
					}()
					n, err := conn.c.Send(time.Now(), head, body)
					if all := edgetest.Receive(t, got, "an answer"); n != int64(len(want)) || err != nil || !bytes.Equal(all, want) {
						t.Fatalf("%s, a body of %d bytes %s behind a head of %d: sent %d, %v; %d arrive, as they are: %t", name, size, kind, headSize, n, err, len(all), bytes.Equal(all, want))
					}
				}
			}
		}
	}
}

// A file that has become shorter ends the answer, with an error.
func TestBodyOfAShorterFile(t *testing.T) {
	f := fileOf(t, counting(200_000))
	for _, cached := range []bool{false, true} {
		secure, overTLS, _ := securePair(t, &Guard{Stalled: edgetest.Patience})
		tcp, overTCP := tcpPair(t)
		for name, conn := range map[string]struct {
			client net.Conn
			c      *Conn
		}{"TCP": {tcp, overTCP}, "TLS": {secure, overTLS}} {
			go io.Copy(io.Discard, conn.client)
			_, err := conn.c.Send(time.Now(), []byte("head"), Body{File: f, Offset: 100, Length: 200_000, Cached: cached})
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The records of an answer are written together.
func TestRecordsAreWrittenTogether(t *testing.T) {
	g := &Guard{Stalled: edgetest.Patience}
	client, c, writes := securePair(t, g)
	go io.Copy(io.Discard, client)
	f := fileOf(t, counting(200_000))
	for _, tt := range []struct{ size, most int }{{0, 1}, {2000, 1}, {40 << 10, 1}, {64 << 10, 1}, {200_000, 3}} {
		for _, body := range []Body{{Bytes: counting(tt.size)}, {File: f, Length: int64(tt.size)}} {
			before := writes.count()
			if _, err := c.Send(time.Now(), []byte("head"), body); err != nil {
				t.Fatal(err)
			}
			if n := writes.count() - before; n > tt.most {
				t.Errorf("%d bytes take %d writes", tt.size, n)
			}
		}
	}
	// Of many answers at a time, whose clients may be slow, each keeps less in memory.
	g.gathering.Store(maxGathering)
	before := writes.count()
	if n, err := c.Send(time.Now(), []byte("head"), Body{Bytes: counting(40 << 10)}); n != 4+40<<10 && err != nil {
		t.Error(n, err)
	}
	if n := writes.count() - before; n != 3 {
		t.Errorf("%d writes, want 3", n)
	}
	if n := g.gathering.Load(); n != maxGathering {
		t.Errorf("%d are counted", n)
	}
}

// A connection that is closed while an answer waits for its client ends the answer.
func TestCloseWhileRecordsAreGathered(t *testing.T) {
	client, c, _ := securePair(t, &Guard{Stalled: edgetest.Patience})
	sent := make(chan error, 1)
	go func() {
		_, err := c.Send(time.Now(), []byte("head"), Body{Bytes: counting(3 << 20)})
		sent <- err
	}()
	if _, err := io.ReadFull(client, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- c.Conn.Close() }()
	if err := edgetest.Receive(t, sent, "the end of the answer"); err == nil {
		t.Error("sent")
	}
	edgetest.Receive(t, closed, "the end of Close")
}

// A part of a file goes out by sendfile below net/http, too.
func TestReadFromAPartOfAFile(t *testing.T) {
	text := counting(1 << 20)
	f := fileOf(t, text)
	client, c := tcpPair(t)
	part := &placed{io.NewSectionReader(f, 100, 900_000), f, 0}
	got := make(chan []byte, 1)
	go func() {
		all := make([]byte, 700_000)
		io.ReadFull(client, all)
		got <- all
	}()
	to := &plainConn{c}
	for _, n := range []int64{300_000, 400_000} {
		if m, err := to.ReadFrom(io.LimitReader(part, n)); m != n || err != nil {
			t.Fatal(m, err)
		}
	}
	if all := edgetest.Receive(t, got, "the part"); !bytes.Equal(all, text[100:700_100]) {
		t.Error("other bytes")
	}
	if part.reads > 0 {
		t.Errorf("%d reads", part.reads)
	}
	rest, _ := io.ReadAll(part)
	if !bytes.Equal(rest, text[700_100:900_100]) {
		t.Error("the reader is at another place")
	}
}

// placed is a reader that knows its place in a file.
type placed struct {
	*io.SectionReader
	f     *os.File
	reads int
}

func (p *placed) Read(b []byte) (int, error) {
	p.reads++
	return p.SectionReader.Read(b)
}

func (p *placed) InFile() (*os.File, int64) {
	at, _ := p.Seek(0, io.SeekCurrent)
	return p.f, 100 + at
}
