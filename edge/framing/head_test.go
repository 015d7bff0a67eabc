package framing

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// head joins the lines of a head.
func head(lines ...string) string { return strings.Join(append(lines, "", ""), "\r\n") }

func TestHeadsThatPass(t *testing.T) {
	for name, tt := range map[string]struct {
		text   string
		length int64
		minor  byte
		odd    bool
	}{
		"plain":              {head("GET / HTTP/1.1", "Host: a"), 0, 1, false},
		"without a field":    {head("GET / HTTP/1.1"), 0, 1, false},
		"HTTP/1.0":           {head("GET / HTTP/1.0", "Connection: keep-alive"), 0, 0, false},
		"a length":           {head("PUT /a HTTP/1.1", "Host: a", "content-LENGTH: \t012 "), 12, 1, false},
		"a length in 1.0":    {head("PUT /a HTTP/1.0", "Content-Length: 3"), 3, 0, false},
		"the longest length": {head("PUT /a HTTP/1.1", "Content-Length: 999999999999999999"), 999999999999999999, 1, false},
		"chunked":            {head("PUT /a HTTP/1.1", "Host: a", "transfer-encoding:CHUNKED"), Chunked, 1, false},
		"an empty value":     {head("GET / HTTP/1.1", "X:"), 0, 1, false},
		"8 bits and tabs":    {head("GET /\xfc HTTP/1.1", "X: \xfc\tb c"), 0, 1, false},
		"an odd method":      {head("P!T / HTTP/1.1"), 0, 1, false},
		"many fields":        {head("GET / HTTP/1.1", strings.Repeat("X: y\r\n", 99)+"Content-Length: 4"), 4, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := new(Head)
			if size, err := h.Parse([]byte(tt.text + "more")); size != len(tt.text) || err != nil {
				t.Fatalf("got %d, %v; want %d", size, err, len(tt.text))
			}
			if h.Length != tt.length || h.Minor != tt.minor || h.Odd != tt.odd {
				t.Errorf("got %+v", h)
			}
			for n := range tt.text {
				if size, err := h.Parse([]byte(tt.text[:n])); size != 0 || err != nil {
					t.Errorf("%d bytes of it are a head: %d, %v", n, size, err)
				}
			}
		})
	}
}

func TestHeadsThatDoNot(t *testing.T) {
	for text, want := range map[string]error{
		"GET / HTTP/1.1\nHost: a\r\n\r\n":                                       errBareLF,
		"\nGET / HTTP/1.1\r\n\r\n":                                              errBareLF,
		head("GET / HTTP/1.1", "X: a\rb"):                                       errValue,
		head("GET / HTTP/1.1", "X: a\r"):                                        errValue,
		head("GET / HTTP/1.1", "X: 0123456\x00"):                                errValue,
		head("GET / HTTP/1.1", "X: \x1f"):                                       errValue,
		head("GET / HTTP/1.1", "X: 01234567890123\x7f90"):                       errValue,
		head("GET / HTTP/1.1", " X: a"):                                         errFolded,
		head("GET / HTTP/1.1", "X: a", "\tb"):                                   errFolded,
		head("GET / HTTP/1.1", "X : a"):                                         errName,
		head("GET / HTTP/1.1", "X\x00: a"):                                      errName,
		head("GET / HTTP/1.1", "X\xa0: a"):                                      errName,
		head("GET / HTTP/1.1", "X"):                                             errName,
		head("GET / HTTP/1.1", ": a"):                                           errName,
		head("GET  / HTTP/1.1"):                                                 errRequest,
		head("GET / HTTP/1.1 "):                                                 errRequest,
		head("GET /a b HTTP/1.1"):                                               errRequest,
		head("GET\t/ HTTP/1.1"):                                                 errRequest,
		head("GET /\t HTTP/1.1"):                                                errRequest,
		head("GET /\x01 HTTP/1.1"):                                              errRequest,
		head("GET /"):                                                           errRequest,
		head(""):                                                                errRequest,
		"\r\n" + head("GET / HTTP/1.1"):                                         errRequest,
		head(" / HTTP/1.1"):                                                     errRequest,
		head("GET / HTTP/1.1x"):                                                 errRequest,
		head("GET / http/1.1"):                                                  errRequest,
		head("GET / HTTP/1.2"):                                                  errVersion,
		head("PRI * HTTP/2.0"):                                                  errVersion,
		head("P / HTTP/1.1", "Content-Length:"):                                 errLength,
		head("P / HTTP/1.1", "Content-Length: +1"):                              errLength,
		head("P / HTTP/1.1", "Content-Length: 1 1"):                             errLength,
		head("P / HTTP/1.1", "Content-Length: 1,1"):                             errLength,
		head("P / HTTP/1.1", "Content-Length: 0x1"):                             errLength,
		head("P / HTTP/1.1", "Content-Length: 1234567890123456789"):             errLength,
		head("P / HTTP/1.1", "Content-Length: 1", "Content-Length: 1"):          errLength,
		head("P / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"): errTwoLengths,
		head("P / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 1"): errTwoLengths,
		head("P / HTTP/1.0", "Transfer-Encoding: chunked"):                      errCoding10,
		head("P / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"): errCoding,
		head("P / HTTP/1.1", "Transfer-Encoding: gzip, chunked"):                         errCoding,
		head("P / HTTP/1.1", "Transfer-Encoding: identity"):                              errCoding,
		head("P / HTTP/1.1", "Transfer-Encoding:"):                                       errCoding,
		head("P / HTTP/1.1", "Transfer-Encoding: chunked;a=b"):                           errCoding,
		head("P / HTTP/1.1", "Transfer-Encoding: \"chunked\""):                           errCoding,
	} {
		if size, err := new(Head).Parse([]byte(text)); size != 0 || err != want {
			t.Errorf("%q: got %d, %v; want %v", text, size, err, want)
		}
	}
}

func TestSelfTest(t *testing.T) {
	if err := SelfTest(); err != nil {
		t.Error(err)
	}
	c := &traced{events: []string{"new", "active", "read all"}}
	if c.judge() == nil {
		t.Error("another order of events passes")
	}
}

// Every head that passes has the same end, and the same body, for net/http.
func FuzzHead(f *testing.F) {
	for _, text := range []string{
		head("GET / HTTP/1.1", "Host: a"), head("PUT / HTTP/1.1", "Host: a", "Content-Length: 3") + "abcd",
		head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n", head("GET / HTTP/1.0"),
		head("GET http://a/ HTTP/1.1", "Host: a", "Content-Length: 0"), head("CONNECT a:1 HTTP/1.1", "Host: a"),
		head("GET / HTTP/1.1", "Host: a", "Trailer: X", "X: \xfc"), head("PRI * HTTP/2.0"), "GET / HTTP/1.1\nHost: a\n\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := new(Head)
		size, err := h.Parse(text)
		if err != nil || size == 0 {
			return
		}
		b := bufio.NewReaderSize(bytes.NewReader(text), 16)
		req, err := http.ReadRequest(b)
		if err != nil {
			return // net/http refuses more, such as a target that is no URL
		}
		left, err := io.ReadAll(b)
		if err != nil || !bytes.HasSuffix(text, left) {
			t.Fatal("lost its place", err)
		}
		if req.ContentLength != h.Length || len(left) != len(text)-size {
			t.Errorf("%q: net/http has a body of %d, and a head of %d bytes; want %d and %d", text, req.ContentLength, len(text)-len(left), h.Length, size)
		}
		if req.Method != string(h.Method) || req.RequestURI != string(h.Target) || req.ProtoMinor != int(h.Minor) || req.ProtoMajor != 1 {
			t.Errorf("%q: net/http reads %s %s %s", text, req.Method, req.RequestURI, req.Proto)
		}
	})
}
