package conditional

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/textproto"
)

// Multipart frames several spans as multipart/byteranges (RFC 9110 section
// 14.6). Each head goes before its span, and the tail after the last one.
type Multipart struct {
	ContentType string
	Heads       [][]byte
	Tail        []byte
	Size        int64 // bytes of the whole body, the spans included
}

// NewMultipart frames spans of a representation of size bytes. The boundary must
// be one to multipart.Writer, and not occur in the bytes.
func NewMultipart(spans []Span, contentType string, size int64, boundary string) Multipart {
	p := Multipart{}
	var frame bytes.Buffer
	w := multipart.NewWriter(&frame)
	if err := w.SetBoundary(boundary); err != nil {
		panic(err) // the caller makes it of letters and digits
	}
	for _, s := range spans {
		h := textproto.MIMEHeader{"Content-Range": {s.ContentRange(size)}}
		if contentType != "" {
			h.Set("Content-Type", contentType)
		}
		w.CreatePart(h) // into memory: cannot fail
		p.Heads = append(p.Heads, bytes.Clone(frame.Bytes()))
		p.Size += int64(frame.Len()) + s.Length
		frame.Reset()
	}
	w.Close()
	p.Tail = frame.Bytes()
	p.Size += int64(len(p.Tail))
	p.ContentType = fmt.Sprintf("multipart/byteranges; boundary=%s", w.Boundary())
	return p
}
