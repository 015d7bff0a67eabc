package proxy

import (
	"crypto/rand"
	"errors"
	"hash/crc32"
	"net/http"
	"strconv"
	"time"

	"pkgedge/cache"
	"pkgedge/edge/conditional"
	"pkgedge/origin"
	"pkgedge/origin/kind"
)

// respond sends an answer: whole, some parts of it, or that the client has it
// already.
func (x *exchange) respond(a *cache.Answer) {
	x.fields(a)
	size := a.Part.Size // of the whole representation, -1 while it is not known
	origin := int64(0)  // where the stored bytes begin in it
	if a.Span != nil {
		size, origin = a.Span.Total, a.Span.First
	}
	if a.Status == http.StatusOK && conditional.NotModified(x.r.Header, x.header(), x.start) {
		x.sendHeader(http.StatusNotModified)
		return
	}
	if a.Span != nil && x.header().Get("Content-Range") != "" { // fetched for this request alone
		x.sendHeaderOf(http.StatusPartialContent, a.Part.Size)
		x.body(a, 0, a.Part.Size)
		return
	}
	if a.Status == http.StatusOK && size >= 0 {
		var wanted []conditional.Span
		ok := false
		if x.r.Method == http.MethodGet && len(x.r.Header["Range"]) > 0 {
			wanted, ok = conditional.Spans(x.r.Header, x.header(), size)
		}
		if a.Span != nil {
			wanted, ok = received(wanted, a), true
		}
		if ok && (len(wanted) < 2 || !a.Live() || conditional.Ascending(wanted)) {
			x.ranges(a, wanted, origin, size)
			return
		}
	}
	x.sendHeaderOf(a.Status, size)
	if size != 0 && x.r.Method != http.MethodHead {
		x.body(a, 0, size)
	}
}

// received keeps to the bytes that an origin sent, where it chose others than the
// request's.
func received(wanted []conditional.Span, a *cache.Answer) []conditional.Span {
	have := conditional.Span{Start: a.Span.First, Length: a.Part.Size}
	if len(wanted) == 1 && wanted[0].Start >= have.Start && wanted[0].End() <= have.End() {
		return wanted
	}
	return []conditional.Span{have}
}

// ranges sends the spans wanted, or says that there are no such bytes.
func (x *exchange) ranges(a *cache.Answer, wanted []conditional.Span, origin, size int64) {
	h := x.header()
	switch len(wanted) {
	case 0:
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		x.sendHeader(http.StatusRequestedRangeNotSatisfiable)
	case 1:
		h.Set("Content-Range", wanted[0].ContentRange(size))
		x.sendHeaderOf(http.StatusPartialContent, wanted[0].Length)
		x.body(a, wanted[0].Start-origin, wanted[0].Length)
	default:
		p := conditional.NewMultipart(wanted, h.Get("Content-Type"), size, rand.Text())
		h.Set("Content-Type", p.ContentType)
		x.sendHeaderOf(http.StatusPartialContent, p.Size)
		for i, s := range wanted {
			x.w.Write(p.Heads[i])
			x.body(a, s.Start-origin, s.Length)
		}
		x.w.Write(p.Tail)
	}
}

// sendHeaderOf sends the header of a body of size bytes, -1 when not known.
func (x *exchange) sendHeaderOf(status int, size int64) {
	h := x.header()
	switch {
	case status == http.StatusNoContent || size < 0:
		delete(h, "Content-Length")
	default:
		h["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	}
	x.status = status
	x.extendDeadline()
	x.w.WriteHeader(status)
}

// sendHeader sends a header without a body, and without the fields of one.
func (x *exchange) sendHeader(status int) {
	h := x.header()
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Content-Type"} {
		delete(h, name)
	}
	if status != http.StatusNotModified {
		h["Content-Length"] = []string{"0"}
	}
	x.status = status
	x.extendDeadline()
	x.w.WriteHeader(status)
}

// fields sets the stored response's fields and the edge's own.
func (x *exchange) fields(a *cache.Answer) {
	h := x.header()
	for name, values := range a.Header {
		h[name] = values
	}
	if a.Part.ETag != "" {
		h["Etag"] = []string{a.Part.ETag}
	}
	if a.Part.ContentType != "" {
		h["Content-Type"] = []string{a.Part.ContentType}
	}
	if a.Part.Encoding != "" {
		h["Content-Encoding"] = []string{a.Part.Encoding}
	}
	if len(a.Parts) > 1 {
		h["Vary"] = varyNegotiated
	}
	if a.Status == http.StatusOK && a.Part.Size >= 0 {
		h["Accept-Ranges"] = acceptBytes
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // else net/http would guess one
	}
	// Age says that the origin did not answer this request (RFC 9111 section
	// 5.1). A caching origin may have said so already.
	if fromOrigin := a.ForwardStatus != 0 && a.Outcome != cache.Collapsed && a.Outcome != cache.HitError; !fromOrigin || len(h["Age"]) > 0 {
		h["Age"] = []string{strconv.FormatInt(int64(a.Age/time.Second), 10)}
	}
	h["Via"] = append(h["Via"][:len(h["Via"]):len(h["Via"])], "1.1 edge")
	h["Cache-Status"] = append(h["Cache-Status"][:len(h["Cache-Status"]):len(h["Cache-Status"])], cacheStatus(a))
	if !x.site.Kind.Transparent {
		h["Cache-Control"] = []string{x.lifetime(a)}
		delete(h, "Expires")
		delete(h, "Pragma")
	}
}

var (
	varyNegotiated = []string{"Accept, Accept-Encoding"}
	acceptBytes    = []string{"bytes"}
)

// lifetime is the Cache-Control that clients of a registry get: explicit,
// because npm guesses without it, and the remaining lifetime, because npm
// ignores Age.
//
// no-transform goes on to the caches in front (RFC 9111 section 5.2).
func (x *exchange) lifetime(a *cache.Answer) string {
	b := make([]byte, 0, 64)
	if x.private {
		b = append(b, "private, no-cache"...)
	} else {
		b = append(b, "public, max-age="...)
		b = strconv.AppendInt(b, int64(max(0, x.site.ClientLifetime(x.route, a))/time.Second), 10)
	}
	if a.NoTransform() {
		b = append(b, ", no-transform"...)
	}
	if !x.private && x.route.Class == kind.File && !x.route.Moving && a.Status == http.StatusOK {
		b = append(b, ", immutable"...)
	}
	return string(b)
}

// cacheStatus is the history of the answer (RFC 9211).
func cacheStatus(a *cache.Answer) string {
	b := make([]byte, 0, 96)
	b = append(b, "edge"...)
	switch {
	case a.Forward == "" || errors.Is(a.Err, origin.ErrOutage): // nothing has gone forward
		b = append(b, "; hit"...)
	default:
		b = append(b, "; fwd="...)
		b = append(b, a.Forward...)
	}
	if a.ForwardStatus != 0 {
		b = append(b, "; fwd-status="...)
		b = strconv.AppendInt(b, int64(a.ForwardStatus), 10)
	}
	if a.Kept && a.Outcome == cache.Missed {
		b = append(b, "; stored"...)
	}
	if a.Outcome == cache.Collapsed {
		b = append(b, "; collapsed"...)
	}
	b = append(b, "; ttl="...)
	b = strconv.AppendInt(b, int64(a.TTL/time.Second), 10)
	b = append(b, "; detail="...)
	b = append(b, detail(a.Outcome, a.Err)...)
	return string(b)
}

// detail is the outcome's word, or says that no master was even asked.
func detail(o cache.Outcome, err error) string {
	if errors.Is(err, origin.ErrOutage) {
		return "outage"
	}
	return o.String()
}

// subdocument narrows the answer to a part of the document: a version of a
// packument, or its tags. A part that is not there may be newer than the stored
// document, so that a master is asked once, unless one has just been asked. A
// damaged document is out of the way by then, and is fetched once more. ok is false
// when the request has been answered.
func (x *exchange) subdocument(q *cache.Query, a *cache.Answer) (narrowed *cache.Answer, ok bool) {
	for retried := false; ; retried = true {
		if a.Status != http.StatusOK {
			return a, true
		}
		summary, err := a.Other(x.r.Context(), kind.Summary)
		name := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(x.route.Subdocument.Name))), 36)
		if from, n, ok := kind.FindSubdocument(summary, x.route.Subdocument.Name); ok && a.Narrow(from, n, name) {
			if x.route.Subdocument.ContentType != "" {
				a.Part.ContentType = x.route.Subdocument.ContentType
			}
			return a, true
		}
		outcome, trouble, validated, live := a.Outcome, a.Err, a.ResponseTime, a.Live()
		a.Close()
		switch {
		case err != nil && (retried || live):
			x.fail(err)
			return nil, false
		case err != nil: // the next Get finds it gone
		case trouble != nil && !errors.Is(trouble, cache.ErrSoftTimeout): // a part that no master can be asked about is not missing
			x.fail(trouble)
			return nil, false
		case q.Request.Control.NoCache, time.Since(validated) < q.Rule.Missing.Default:
			x.refuse(outcome, http.StatusNotFound, x.route.Subdocument.Missing)
			return nil, false
		default: // without a time limit: the stored document does not list the parts that it lacks
			q.Request.Control.NoCache, q.SoftTimeout = true, 0
		}
		if a, err = x.Cache.Get(x.r.Context(), q); err != nil {
			x.fail(err)
			return nil, false
		}
	}
}
