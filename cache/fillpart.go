package cache

import (
	"errors"
	"io"
	"net/http"
	"strconv"
)

// errUnaskedPart is a 206 to a request for the whole.
var errUnaskedPart = errors.New("206 Partial Content to a request without Range")

// partial takes a 206 (RFC 9111 sections 3.3 and 3.4). The bytes of a single
// range are stored as a piece of their representation; where they continue a
// stored piece of the same representation, together with that.
func (w *Fill) partial(h http.Header, size int64) error {
	if w.asked.Range == "" {
		return errUnaskedPart
	}
	first, last, total, ok := parseContentRange(h)
	if !ok { // several ranges, or nothing we understand: the client asked for it
		w.begin(http.StatusPartialContent, h)
		w.open(size)
		return nil
	}
	exact := size < 0 || size == last-first+1
	if size < 0 {
		size = last - first + 1
	}
	if !exact && last == total-1 {
		// The field and the body disagree, and the body is what there is. It is
		// never joined to other bytes.
		total = first + size
	}
	whole := h.Clone()
	whole.Del("Content-Range")
	base := w.base
	w.begin(http.StatusOK, whole)
	w.f.setStatus(http.StatusPartialContent)
	w.meta.Piece = &Piece{First: first, Total: total}
	if !exact || base == nil || base.Piece == nil || base.Piece.First+base.Size() != first ||
		base.Piece.Total != total || strongTag(h) == "" || strongTag(h) != strongTag(base.Header) {
		w.f.unkeep("Content-Range", h["Content-Range"]) // who asked gets it in the origin's words
		w.open(size)
		return nil
	}
	w.meta.Piece.First = base.Piece.First
	size += base.Size()
	if w.meta.Piece.First == 0 && size == total {
		w.meta.Piece = nil
		w.meta.Header["Content-Length"] = []string{strconv.FormatInt(total, 10)}
	}
	w.open(size)
	_, err := io.Copy(onlyWriter{w}, io.NewSectionReader(base.Body, 0, base.Size()))
	return err
}

type onlyWriter struct{ io.Writer }

// head takes the response to a HEAD. It freshens the stored response to GET
// when it describes the same representation, and otherwise makes it stale (RFC
// 9111 section 4.3.5).
func (w *Fill) head(status int, h http.Header, size int64) error {
	w.begin(status, h)
	w.f.notKept()
	w.meta.Parts = []Part{{Size: size, Encoding: h.Get("Content-Encoding")}}
	w.f.release(w.meta)
	if w.base == nil || status != http.StatusOK {
		return nil
	}
	if !sameRepresentation(w.base.Header, h) {
		return w.c.purges.add(Purge{Scope: ScopeKey, Site: w.q.Key.Site, Name: w.q.Key.ID, Soft: true})
	}
	w.freshen(h)
	return nil
}

// sameRepresentation: no validator and no length that the HEAD gives differs.
func sameRepresentation(stored, head http.Header) bool {
	for _, name := range []string{"Etag", "Last-Modified", "Content-Length"} {
		if v := head.Get(name); v != "" && v != stored.Get(name) {
			return false
		}
	}
	return true
}
