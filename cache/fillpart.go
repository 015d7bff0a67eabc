package cache

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"pkgedge/cache/policy"
	"pkgedge/cache/purge"
	"pkgedge/cache/store"
)

// errUnaskedPart is a 206 to a request for the whole.
var errUnaskedPart = errors.New("206 Partial Content to a request without Range")

// partial receives a 206 (RFC 9111 sections 3.3 and 3.4). A single range is stored as a part
// of its representation. A range that continues a stored part of the same representation is
// stored together with it.
func (w *Fill) partial(h http.Header, size int64) error {
	if w.asked.Range == "" {
		return errUnaskedPart
	}
	part, ok := policy.ParseContentRange(h)
	if !ok { // several ranges, or an unknown form: the client asked for it
		w.beginResponse(http.StatusPartialContent, h)
		w.releaseStreamed(size)
		return nil
	}
	exact := size < 0 || size == part.Size
	if !exact {
		// Content-Range and the body disagree. The body counts, and is never joined to
		// other bytes.
		if part.First+part.Size == part.Total {
			part.Total = part.First + size
		}
		part.Size = size
	}
	whole := h.Clone()
	whole.Del("Content-Range")
	base := w.base
	w.beginResponse(http.StatusOK, whole)
	w.f.SetStatus(http.StatusPartialContent)
	w.meta.Span = &part
	if !exact || base == nil || !base.ContinuedBy(part, h) {
		w.f.AddUncached("Content-Range", h["Content-Range"]) // the client gets it in the origin's words
		w.releaseStreamed(part.Size)
		return nil
	}
	part.First, part.Size = base.Span.First, base.Span.Size+part.Size
	if part.First == 0 && part.Size == part.Total {
		w.meta.Span = nil
		w.meta.Header["Content-Length"] = []string{strconv.FormatInt(part.Total, 10)}
	}
	w.releaseStreamed(part.Size)
	_, err := io.Copy(onlyWriter{w}, io.NewSectionReader(base.Body, 0, base.Size()))
	return err
}

type onlyWriter struct{ io.Writer }

// head receives the response to a HEAD. It freshens the stored response to GET
// when it describes the same representation, and otherwise makes it stale (RFC
// 9111 section 4.3.5).
func (w *Fill) head(status int, h http.Header, size int64) error {
	w.beginResponse(status, h)
	w.f.Uncache()
	w.meta.Parts = []store.Part{{Size: size, Encoding: h.Get("Content-Encoding")}}
	w.f.Publish(w.meta)
	if w.base == nil || status != http.StatusOK {
		return nil
	}
	if !w.base.SameRepresentation(h) {
		return w.c.purges.Add(purge.Purge{Scope: purge.Key, Site: w.q.Key.Site, Name: w.q.Key.ID, Soft: true})
	}
	w.freshen(h)
	return nil
}
