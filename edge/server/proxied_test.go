package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"

	"pkgedge/edge/edgetest"
)

// headerOf is a header of the PROXY protocol.
func headerOf(t testing.TB, version byte, source string) string {
	t.Helper()
	h := proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(source)), &net.TCPAddr{IP: net.ParseIP("198.51.100.1"), Port: 80})
	text, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// binaryHeader is a header of version 2 in bytes.
func binaryHeader(command, family byte, block string) string {
	b := append([]byte(nil), proxyproto.SIGV2...)
	b = append(b, command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(block)))
	return string(b) + block
}

// v4 is the address block of version 2: 192.0.2.9:4660 to 198.51.100.1:80.
const v4 = "\xc0\x00\x02\x09\xc6\x33\x64\x01\x12\x34\x00\x50"

// proxyHeaders are such that name a client, and such that name none with "".
var proxyHeaders = map[string]struct{ text, client string }{
	"v1, IPv4":               {"PROXY TCP4 192.0.2.9 198.51.100.1 4660 80\r\n", "192.0.2.9:4660"},
	"v1, IPv6":               {"PROXY TCP6 2001:db8::9 2001:db8::1 4660 80\r\n", "[2001:db8::9]:4660"},
	"v1, UNKNOWN":            {"PROXY UNKNOWN\r\n", ""},
	"v1, UNKNOWN and more":   {"PROXY UNKNOWN ffff:f::f ffff:f::f 65535 65535\r\n", ""},
	"v2, IPv4":               {binaryHeader(0x21, 0x11, v4), "192.0.2.9:4660"},
	"v2, IPv4 and more":      {binaryHeader(0x21, 0x11, v4+"\x02\x00\x01a\x04\x00\x00"), "192.0.2.9:4660"},
	"v2, a long certificate": {binaryHeader(0x21, 0x11, v4+"\x20\x0b\xb8"+strings.Repeat("c", 3000)), "192.0.2.9:4660"},
	"v2, LOCAL":              {binaryHeader(0x20, 0x00, ""), ""},
	"v2, LOCAL with a block": {binaryHeader(0x20, 0x11, v4), ""},
}

// notProxyHeaders are refused.
var notProxyHeaders = map[string]string{
	"none":                  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"a handshake":           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 600),
	"another word":          "PROXYTCP4 192.0.2.9 198.51.100.1 4660 80\r\n",
	"lower case":            "proxy TCP4 192.0.2.9 198.51.100.1 4660 80\r\n",
	"a bare LF":             "PROXY TCP4 192.0.2.9 198.51.100.1 4660 80\nGET /",
	"no ports":              "PROXY TCP4 192.0.2.9 198.51.100.1\r\n",
	"one field more":        "PROXY TCP4 192.0.2.9 198.51.100.1 4660 80 x\r\n",
	"a port too large":      "PROXY TCP4 192.0.2.9 198.51.100.1 66000 80\r\n",
	"a name":                "PROXY TCP4 localhost 198.51.100.1 4660 80\r\n",
	"v6 for v4":             "PROXY TCP4 2001:db8::9 2001:db8::1 4660 80\r\n",
	"UDP":                   "PROXY UDP4 192.0.2.9 198.51.100.1 4660 80\r\n",
	"too long":              "PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n",
	"v2, another version":   binaryHeader(0x31, 0x11, v4),
	"v2, another command":   binaryHeader(0x22, 0x11, v4),
	"v2, another family":    binaryHeader(0x21, 0x41, v4),
	"v2, no address":        binaryHeader(0x21, 0x00, ""),
	"v2, a short address":   binaryHeader(0x21, 0x11, v4[:8]),
	"v2, v4 for v6":         binaryHeader(0x21, 0x21, v4),
	"v2, UDP":               binaryHeader(0x21, 0x12, v4),
	"v2, a Unix socket":     binaryHeader(0x21, 0x31, strings.Repeat("a", 216)),
	"v2, too long":          binaryHeader(0x21, 0x11, v4+strings.Repeat("x", 5000)),
	"v2, another signature": strings.Replace(binaryHeader(0x21, 0x11, v4), "QUIT", "QUIZ", 1),
}

func TestProxyHeaders(t *testing.T) {
	const behind = "GET / HTTP/1.1\r\n"
	for name, tt := range proxyHeaders {
		from := strings.NewReader(tt.text + behind)
		client, err := readProxyHeader(from)
		rest, _ := io.ReadAll(from)
		if err != nil || client == nil != (tt.client == "") || client != nil && client.String() != tt.client {
			t.Errorf("%s: got %v, %v; want %q", name, client, err, tt.client)
		}
		if string(rest) != behind {
			t.Errorf("%s: left %q", name, rest)
		}
		for n := range tt.text {
			if _, err := readProxyHeader(strings.NewReader(tt.text[:n])); err == nil {
				t.Errorf("%s: %d bytes of it pass", name, n)
			}
		}
	}
	for name, text := range notProxyHeaders {
		if client, err := readProxyHeader(strings.NewReader(text)); err == nil {
			t.Errorf("%s: got %v", name, client)
		}
	}
}

// No byte behind a header is read, and an address is one of TCP.
func FuzzProxyHeader(f *testing.F) {
	for _, tt := range proxyHeaders {
		f.Add([]byte(tt.text))
	}
	for _, text := range notProxyHeaders {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		const behind = "behind"
		from := bytes.NewReader(append(bytes.Clone(text), behind...))
		client, err := readProxyHeader(from)
		if err != nil {
			return
		}
		read := len(text) + len(behind) - from.Len()
		if whole, err := readProxyHeader(bytes.NewReader(text[:min(read, len(text))])); read <= len(text) && (err != nil || client == nil != (whole == nil)) {
			t.Errorf("%q: %v, and its %d bytes alone: %v, %v", text, client, read, whole, err)
		}
		if client != nil {
			if a := peerOf(client); !a.IsValid() {
				t.Errorf("%q: names %v", text, client)
			}
		}
	})
}

// proxiedServer is a server whose listener is behind proxies. It answers with the address of
// the client.
func proxiedServer(t *testing.T, config *tls.Config, trusts bool) (addr string, refused *atomic.Int32) {
	t.Helper()
	s := New(edgetest.QuietLog())
	l := openLoopback(t, s, "listen", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })
	refused = new(atomic.Int32)
	l.TLS = config
	l.Proxied = &Proxied{Trusts: func(netip.Addr) bool { return trusts }, Refused: func() { refused.Add(1) }}
	st := startServer(t, s)
	t.Cleanup(func() {
		st.stop()
		edgetest.Receive(t, st.done, "the end of Run")
	})
	return l.Addr().String(), refused
}

// askedBehind sends a header and a request, and returns the body of the answer.
func askedBehind(t *testing.T, addr, header string, config *tls.Config) (string, error) {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var c net.Conn = raw
	if _, err := io.WriteString(c, header); err != nil {
		return "", err
	}
	if config != nil {
		c = tls.Client(raw, config)
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestClientsBehindAProxy(t *testing.T) {
	server, client := pairOf(t)
	for name, config := range map[string]*tls.Config{"plain": nil, "TLS": server} {
		t.Run(name, func(t *testing.T) {
			trust := client
			if config == nil {
				trust = nil
			}
			addr, refused := proxiedServer(t, config, true)
			for name, tt := range proxyHeaders {
				got, err := askedBehind(t, addr, tt.text, trust)
				if err != nil || tt.client != "" && got != tt.client || tt.client == "" && !strings.HasPrefix(got, "127.0.0.1:") {
					t.Errorf("%s: got %q, %v; want %q", name, got, err, tt.client)
				}
			}
			if n := refused.Load(); n > 0 {
				t.Errorf("%d were refused", n)
			}
			n := int32(0)
			for name, text := range notProxyHeaders {
				if name == "none" && trust != nil {
					continue
				}
				if got, err := askedBehind(t, addr, text, trust); err == nil {
					t.Errorf("%s: answered %q", name, got)
				}
				n++
			}
			edgetest.Until(t, "each is told of", func() bool { return refused.Load() == n })
		})
	}
}

// A header of a stranger is not believed, and without one there is no answer either.
func TestOnlyTrustedProxiesConnect(t *testing.T) {
	addr, refused := proxiedServer(t, nil, false)
	for i, header := range []string{headerOf(t, 1, "192.0.2.9:1"), headerOf(t, 2, "192.0.2.9:1"), ""} {
		if got, err := askedBehind(t, addr, header, nil); err == nil {
			t.Errorf("%q: answered %q", header, got)
		}
		edgetest.Until(t, "it is told of", func() bool { return int(refused.Load()) == i+1 })
	}
}

// A header that does not come is waited for as long as a handshake.
func TestAProxyHeaderHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, raw := net.Pipe()
		var why error
		p := newPreparing(nil, maxPending, func(c net.Conn) (net.Conn, error) {
			_, err := readProxyHeader(c)
			return c, err
		}, func(_ net.Conn, err error) { why = err })
		go io.WriteString(client, "PROXY TCP4 192.0")
		begun := time.Now()
		p.make(raw)
		if took := time.Since(begun); took != readHeaderTimeout || !errors.Is(why, errProxyHeader) {
			t.Errorf("refused after %v for %v", took, why)
		}
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("it is not closed")
		}
	})
}

// pairOf is the configuration of a server with a certificate, and of a client that takes it.
func pairOf(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	cert, key := edgetest.MakePair(t, t.TempDir(), "pair")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{InsecureSkipVerify: true}
}
