package proxy

import (
	"errors"
	"hash/crc32"
	"net/http"
	"strconv"
	"time"

	"pkgedge/cache"
	"pkgedge/origin/kind"
)

// subdocument narrows the answer to a part of the document: a version of a
// packument, or its tags. A part that is not there may be newer than the stored
// document, so that a master is asked once, unless one has just been asked. A
// damaged document is out of the way by then, and is fetched once more. ok is false
// when the request has been answered. The caller closes a in both cases.
func (x *exchange) subdocument(q *cache.Query, a *cache.Answer) (ok bool) {
	for retried := false; ; retried = true {
		if a.Status != http.StatusOK {
			return true
		}
		summary, err := a.Other(x.r.Context(), kind.Summary)
		name := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(x.route.Subdocument.Name))), 36)
		if from, n, ok := kind.FindSubdocument(summary, x.route.Subdocument.Name); ok && a.Narrow(from, n, name) {
			x.settle(0)
			if x.route.Subdocument.ContentType != "" {
				a.Part.ContentType = x.route.Subdocument.ContentType
			}
			return true
		}
		if why := kind.FindText(summary, x.route.Subdocument.Withheld); why != "" {
			a.Close()
			x.refuse(cache.Refused, http.StatusUnavailableForLegalReasons, why)
			return false
		}
		outcome, trouble, validated, live := a.Outcome, a.Err, a.ResponseTime, a.Live()
		a.Close()
		*a = cache.Answer{} // the caller closes it again
		switch {
		case err != nil && (retried || live):
			x.fail(err)
			return false
		case err != nil: // the next Get finds it gone
		case trouble != nil && !errors.Is(trouble, cache.ErrSoftTimeout): // a part that no master can be asked about is not missing
			x.settle(x.costOfFailure(trouble))
			x.fail(trouble)
			return false
		case q.Request.Control.NoCache, time.Since(validated) < q.Rule.Missing.Default:
			x.refuse(outcome, http.StatusNotFound, x.route.Subdocument.Missing)
			return false
		case !x.takeMiss(): // for a part that is likely not to exist
			return false
		default: // without a time limit: the stored document does not list the parts that it lacks
			q.Request.Control.NoCache, q.SoftTimeout = true, 0
		}
		if *a, err = x.Cache.Get(x.r.Context(), q); err != nil {
			x.settle(x.costOfFailure(err))
			x.fail(err)
			return false
		}
	}
}
