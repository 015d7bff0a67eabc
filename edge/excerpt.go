package main

import (
	"errors"
	"hash/crc32"
	"net/http"
	"strconv"
	"time"

	"pkgedge/cache"
	"pkgedge/origin/kind"
)

// excerpt narrows the answer to the part of the document that was asked for: a
// version of a packument, or its tags. A part that is not there may be newer than
// what is stored, so a master is asked once, if that is not what has just been
// done. A document that turns out to be damaged is out of the way by then, and is
// fetched once more. It reports false when it has answered itself.
func (x *exchange) excerpt(q *cache.Query, a *cache.Answer) (*cache.Answer, bool) {
	for again := false; ; again = true {
		if a.Status != http.StatusOK {
			return a, true
		}
		memo, err := a.Other(x.r.Context(), kind.Summary)
		name := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(x.route.Subdocument.Name))), 36)
		if from, n, ok := kind.FindSubdocument(memo, x.route.Subdocument.Name); ok && a.Narrow(from, n, name) {
			if x.route.Subdocument.ContentType != "" {
				a.Part.ContentType = x.route.Subdocument.ContentType
			}
			return a, true
		}
		outcome, trouble, validated, live := a.Outcome, a.Err, a.ResponseTime, a.Live()
		a.Close()
		switch {
		case err != nil && (again || live):
			x.fail(err)
			return nil, false
		case err != nil: // the next Get finds it gone
		case trouble != nil && !errors.Is(trouble, cache.ErrSoftTimeout): // what no master can be asked about is not missing
			x.fail(trouble)
			return nil, false
		case q.Request.Control.NoCache, time.Since(validated) < q.Rule.Missing.Default:
			x.refuse(outcome, http.StatusNotFound, x.route.Subdocument.Missing)
			return nil, false
		default: // however long it takes: what is stored says nothing of what it lacks
			q.Request.Control.NoCache, q.SoftTimeout = true, 0
		}
		if a, err = x.cache.Get(x.r.Context(), q); err != nil {
			x.fail(err)
			return nil, false
		}
	}
}
