package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is a connection with one request at a time under way.
type conn struct {
	net.Conn
	in *bufio.Reader
}

// dial connects to a loopback address.
func dial(addr string, secure bool) (*conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address", addr)
	}
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if secure {
		// The certificate is made for the run, and the server is on loopback.
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 16<<10)}, nil
}

// get sends a request for path and reads the answer, which must be a 200 with a length.
func (c *conn) get(path, fields string) (size int64, err error) {
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+c.RemoteAddr().String()+"\r\n"+fields+"\r\n"); err != nil {
		return 0, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("%s: %q", path, bytes.TrimSpace(line))
	}
	size = -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("content-length")) {
			if size, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return 0, err
			}
		}
		if bytes.EqualFold(name, []byte("transfer-encoding")) {
			return c.chunks()
		}
	}
	if size < 0 {
		return 0, fmt.Errorf("%s: an answer without a length", path)
	}
	_, err = io.CopyN(io.Discard, c.in, size)
	return size, err
}

// chunks reads a chunked body without trailers.
func (c *conn) chunks() (size int64, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return size, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return size, err
		}
		if _, err := io.CopyN(io.Discard, c.in, n+2); err != nil || n == 0 {
			return size, err
		}
		size += n
	}
}
