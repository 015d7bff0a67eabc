package pool

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pkgedge/origin/health"
	"pkgedge/origin/transport"
)

// place is a URL at which a master's copy of a file may be.
type place struct {
	url       string
	elsewhere bool // not at the master: it is asked without credentials, and tells nothing of the master
}

// places lists where a master is asked for r, the likeliest place first. There is one,
// unless a list says where its own master has the file (Request.At). Another master has
// it at the same path, or in the usual place.
//
// A URL at another host that ends as that of the usual place does is one that a mirror
// has left as it was: the mirror is asked first. Masters of files alone stand in for the
// place that the list names.
func (p *Pool) places(m *health.Master, r *Request) []place {
	usual := place{url: m.URL(r.Route.Path)}
	if r.At == "" {
		return []place{usual}
	}
	all := []place{usual}
	if strings.HasPrefix(r.At, "/") && !strings.HasPrefix(r.At, "//") {
		all = append(all, place{url: m.URL(r.At)})
		if !p.cfg.Files {
			slices.Reverse(all)
		}
		return distinct(all)
	}
	at, err := m.Base.Parse(r.At)
	if err != nil || at.Host == "" {
		return all
	}
	at.User, at.Fragment, at.RawFragment = nil, "", ""
	same, ofMaster := p.samePath(m, at)
	there := []place{{url: at.String(), elsewhere: true}}
	if ofMaster || m.Base.Scheme == "https" && at.Scheme != "https" { // as for a redirect
		there = nil
	}
	switch {
	case p.cfg.Files, !ofMaster && at.RawQuery == "" && strings.HasSuffix(at.EscapedPath(), r.Route.Path):
		all = append(append(all, same), there...)
	default:
		all = append(there, same, usual)
	}
	return distinct(all)
}

func distinct(all []place) (places []place) {
	for _, p := range all {
		if !slices.ContainsFunc(places, func(q place) bool { return p.url == q.url }) {
			places = append(places, p)
		}
	}
	return places
}

// samePath is the place at a master that a URL of another one, or of another host, stands
// for. ofMaster says that the URL is one of our masters'.
func (p *Pool) samePath(m *health.Master, at *url.URL) (same place, ofMaster bool) {
	path := at.EscapedPath()
	query := ""
	if at.RawQuery != "" {
		query = "?" + at.RawQuery
	}
	for _, base := range append(p.bases(), m.Base) {
		if base != m.Base && !transport.SameOrigin(at, base) {
			continue
		}
		ofMaster = ofMaster || transport.SameOrigin(at, base)
		rest, ok := strings.CutPrefix(path, strings.TrimSuffix(base.EscapedPath(), "/"))
		if ok && strings.HasPrefix(rest, "/") {
			return place{url: m.URL(rest + query)}, ofMaster
		}
	}
	return place{url: m.Base.Scheme + "://" + m.Base.Host + path + query}, ofMaster
}

// bases are the URLs of all masters of the site.
func (p *Pool) bases() []*url.URL {
	bases := slices.Clone(p.cfg.Others)
	for _, m := range p.Masters() {
		bases = append(bases, m.Base)
	}
	return bases
}

// sendEach asks a master at one place after the other, until it has the file at one.
func (p *Pool) sendEach(ctx context.Context, m *health.Master, req *Request, later bool) *reply {
	places, sought := p.places(m, req), req.At != "" || req.Find == nil
	var failed error // at a place elsewhere, which may have the file
	for i := 0; ; i++ {
		own := *req
		own.place = places[i]
		r := p.send(ctx, m, &own, later)
		switch {
		case ctx.Err() != nil:
			return r
		case r.err == nil && (r.resp.StatusCode == http.StatusNotFound || r.resp.StatusCode == http.StatusGone):
		case places[i].elsewhere && r.err != nil:
			failed = errors.New(r.err.Error()) // it is not the master that timed out
		case places[i].elsewhere && r.resp.StatusCode >= http.StatusBadRequest:
			if s := r.resp.StatusCode; !transport.Absence(s) {
				failed = errors.New((&transport.StatusError{Status: s}).Error())
			}
		default:
			return r
		}
		if i+1 == len(places) && !sought {
			sought = true
			if own.At = req.Find(r.ctx); own.At != "" {
				further := p.places(m, &own)
				places = append(places, slices.DeleteFunc(further, func(f place) bool { return f.url == places[0].url })...)
			}
		}
		if i+1 == len(places) {
			if failed != nil && r.err == nil { // that it is missing cannot be told
				r.err = failed
			}
			return r
		}
		if r.err == nil {
			p.Observe(m, strconv.Itoa(r.resp.StatusCode))
		}
		r.inside = false // the place at the master is for the next one
		r.close()
	}
}
