package framing

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/edge/edgetest"
)

// framed is a connection of HTTP/2 in memory after its handshake.
func framed(t *testing.T, g *Guard) (client *tls.Conn, server *Frames) {
	t.Helper()
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	client = tls.Client(a, &tls.Config{InsecureSkipVerify: true})
	inner := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{pair}})
	go client.Handshake()
	if err := inner.Handshake(); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, client)
	return client, g.WrapFrames(inner)
}

// frame is a frame of HTTP/2.
func frame(kind, flags byte, size int, payload string) string {
	return string([]byte{byte(size >> 16), byte(size >> 8), byte(size), kind, flags, 0, 0, 0, 1}) + payload
}

// A frame that has begun, and the fields of a request, have the time of a head. A body has
// that of a stall, from each piece on. A connection that is idle is net/http's.
func TestFramesHaveTheirTime(t *testing.T) {
	const header, stalled = 10 * time.Second, time.Minute
	for name, tt := range map[string]struct {
		sent string
		want time.Duration // 0 for ever
	}{
		"nothing":               {"", header},
		"a part of the preface": {preface[:5], header},
		"idle":                  {preface + frame(4, 0, 0, ""), 0},
		"a part of a header":    {preface + "\x00\x00", header},
		"half a HEADERS":        {preface + frame(frameHeaders, endHeaders, 10, "abc"), header},
		"no CONTINUATION":       {preface + frame(frameHeaders, 0, 3, "abc"), header},
		"a CONTINUATION":        {preface + frame(frameHeaders, 0, 3, "abc") + frame(frameContinuation, 0, 1, "d"), header},
		"whole fields":          {preface + frame(frameHeaders, 0, 3, "abc") + frame(frameContinuation, endHeaders, 1, "d"), 0},
		"half a DATA":           {preface + frame(frameData, 0, 10, "abc"), stalled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := framed(t, &Guard{Header: header, Stalled: stalled})
				begun := time.Now()
				if tt.sent != "" {
					go io.WriteString(client, tt.sent)
				}
				const patient = time.Hour
				time.AfterFunc(patient, func() { server.Conn.Close() })
				var got []byte
				buf := make([]byte, 7)
				for {
					n, err := server.Read(buf)
					got = append(got, buf[:n]...)
					if err == nil {
						continue
					}
					took := time.Since(begun)
					if tt.want == 0 && took != patient || tt.want > 0 && (took != tt.want || !errors.Is(err, os.ErrDeadlineExceeded)) {
						t.Errorf("ended after %v with %v; want %v", took, err, tt.want)
					}
					break
				}
				if string(got) != tt.sent {
					t.Errorf("handed up %q", got)
				}
				server.Conn.Close()
				client.Close()
			})
		})
	}
}

// Some costly frames are read at once, and more of them at leisure, until there are too many.
func TestFloodsAreReadAtLeisure(t *testing.T) {
	for frames, want := range map[int]time.Duration{freeFrames: 0, freeFrames + 100: 100 * leisure, frameCredit: (frameCredit - freeFrames) * leisure} {
		synctest.Test(t, func(t *testing.T) {
			client, server := framed(t, &Guard{Header: time.Minute, Stalled: time.Minute})
			begun := time.Now()
			go func() {
				io.WriteString(client, preface)
				for range frames {
					io.WriteString(client, frame(6, 0, 8, "12345678"))
				}
				io.WriteString(client, frame(frameHeaders, endHeaders|endStream, 0, ""))
			}()
			buf := make([]byte, 16<<10)
			for n, end := 0, len(preface)+frames*17+9; n < end; {
				more, err := server.Read(buf)
				if n += more; err != nil {
					t.Fatal(err)
				}
			}
			// A little is earned meanwhile.
			if took := time.Since(begun); took > want || took < want*9/10 {
				t.Errorf("%d frames took %v; want %v", frames, took, want)
			}
			server.Conn.Close()
			client.Close()
		})
	}
}

// However the bytes come, the same frames are found.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(preface+frame(4, 0, 6, "abcdef")+frame(frameData, endStream, 0, "")), 3)
	f.Add([]byte(preface+frame(frameHeaders, 0, 300, "abcdef")), 1)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		follow := func(size int) (found []frameHeader) {
			r := frameReader{preface: len(preface)}
			for rest := text; len(rest) > 0; {
				n := min(size, len(rest))
				r.follow(rest[:n], func(h frameHeader) { found = append(found, h) })
				rest = rest[n:]
			}
			return found
		}
		whole, parts := follow(len(text)+1), follow(max(size, 1))
		if len(whole) != len(parts) {
			t.Fatalf("%d frames in one, %d in parts", len(whole), len(parts))
		}
		at := min(len(preface), len(text))
		for i, h := range whole {
			if h != parts[i] || !bytes.Equal(text[at:at+3], []byte{byte(h.size >> 16), byte(h.size >> 8), byte(h.size)}) {
				t.Errorf("frame %d: %+v and %+v", i, h, parts[i])
			}
			at += 9 + h.size
		}
	})
}
