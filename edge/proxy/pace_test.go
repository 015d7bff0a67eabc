package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache"
	"pkgedge/cache/store"
)

// pipeClient is a connection's end for answers: it has deadlines, and writes to a pipe.
type pipeClient struct{ net.Conn }

func (pipeClient) Header() http.Header           { return make(http.Header) }
func (pipeClient) WriteHeader(int)               {}
func (p pipeClient) Unwrap() http.ResponseWriter { return nil }

func newPaced(w http.ResponseWriter) *exchange {
	return &exchange{w: w, control: http.NewResponseController(w)}
}

// resident is a body in memory.
type resident struct{ data []byte }

func (r resident) ReadAt(p []byte, off int64) (int, error) { return copy(p, r.data[off:]), nil }
func (r resident) Section(off, n int64) (io.Reader, error) {
	return bytes.NewReader(r.data[off : off+n]), nil
}
func (r resident) Bytes() ([]byte, bool) { return r.data, true }
func (r resident) Close() error          { return nil }

// A client of 64 KiB/s gets the whole of a body in memory, however long that takes; one that
// reads nothing is cut off.
func TestSlowReadersOfMemory(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 16<<20/16)
	a := &cache.Answer{Part: store.Part{Size: int64(len(data))}, Stored: &store.Entry{Body: resident{data}}}
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		x := newPaced(pipeClient{server})
		go func() {
			x.extendDeadline() // as sendHeaderOf
			x.body(a, 0, int64(len(data)))
			server.Close()
		}()
		var got bytes.Buffer
		for buf := make([]byte, 64<<10); ; time.Sleep(time.Second) {
			n, err := client.Read(buf)
			got.Write(buf[:n])
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got.Bytes(), data) || x.err != nil || x.sent != int64(len(data)) {
			t.Errorf("got %d of %d bytes, %v", got.Len(), len(data), x.err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, server := net.Pipe()
		x, begun := newPaced(pipeClient{server}), time.Now()
		x.extendDeadline()
		x.body(a, 0, int64(len(data)))
		if took := time.Since(begun); !errors.Is(x.err, os.ErrDeadlineExceeded) || took != stallLimit {
			t.Errorf("after %v: %v", took, x.err)
		}
	})
}

// A passed response waits for its reader as a stored one does.
func TestSlowReadersOfPassedResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		w := pacedWriter{pipeClient{server}, newPaced(pipeClient{server})}
		go func() {
			time.Sleep(59 * time.Second)
			client.Read(make([]byte, 9))
		}()
		if _, err := w.Write([]byte("some text")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour) // the master says nothing
		go client.Read(make([]byte, 9))
		if _, err := w.Write([]byte("some text")); err != nil {
			t.Error(err)
		}
		if _, err := w.Write([]byte("some text")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}

// An upload of 256 bytes a second lives, one that stands still or drips does not. The time
// in which nobody reads is not the client's.
func TestUploadsMakeProgress(t *testing.T) {
	for _, tt := range []struct {
		name         string
		every, pause time.Duration // between the client's writes, and ours
		size, pieces int
		err          error
		took         time.Duration
	}{
		{"slow", time.Second, 0, 256, 600, io.EOF, 600 * time.Second},
		{"in a rare piece", 59 * time.Second, 0, 32 << 10, 10, io.EOF, 590 * time.Second},
		{"a master that is slower", 0, time.Hour, 1, 3, io.EOF, 3 * time.Hour},
		{"dripping", 5 * time.Second, 0, 1, 600, errSlowUpload, time.Minute},
		{"silent", time.Hour, 0, 1, 1, os.ErrDeadlineExceeded, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				var sender sync.WaitGroup
				defer sender.Wait()
				sender.Go(func() {
					defer client.Close()
					for range tt.pieces {
						time.Sleep(tt.every)
						if _, err := client.Write(make([]byte, tt.size)); err != nil {
							return
						}
					}
				})
				u := &upload{ReadCloser: server, setDeadline: server.SetReadDeadline}
				begun, buf := time.Now(), make([]byte, 64<<10)
				var err error
				for err == nil {
					_, err = u.Read(buf)
					if err == nil {
						time.Sleep(tt.pause)
					}
				}
				if took := time.Since(begun); !errors.Is(err, tt.err) || took != tt.took {
					t.Errorf("after %v: %v; want %v, %v", took, err, tt.took, tt.err)
				}
				server.Close()
			})
		})
	}
}
