package cache

import (
	"net/http"

	"pkgedge/cache/store"
)

// Spool begins a streamed response as Respond does, but keeps it from the readers until
// Release, or until the fetch ends well. Its bytes go to the tier that will store them, and
// are bounded as those of every fill. A later Spool or Respond begins anew, and drops them.
//
// It is false where no tier takes the body: then nothing has begun. Where the tier
// fails later, the response is released, and Spooled says so.
func (w *Fill) Spool(status int, h http.Header, size int64) bool {
	w.beginResponse(status, h)
	w.describeStreamed(size)
	if size > w.c.maxObject {
		return false
	}
	w.createWriter(size)
	if !w.f.Head().Kept {
		return false
	}
	w.f.Spool(w.meta)
	w.spooled = true
	return true
}

// Spooled reports whether readers wait for a response that was begun with Spool.
func (w *Fill) Spooled() bool { return w.f.Spooled() }

// Release gives readers the bytes of a spooled response so far, and the rest as it comes.
func (w *Fill) Release() { w.f.Release() }

// describeStreamed describes the one part of a streamed response.
func (w *Fill) describeStreamed(size int64) {
	w.meta.Parts = []store.Part{{Size: size, Encoding: w.meta.Header.Get("Content-Encoding"), ETag: w.etag}}
	w.declared = size
}
