package npm

import (
	"fmt"

	"pkgedge/origin/kind"
	"pkgedge/origin/npm/packument"
)

// Prepare checks a metadata body and makes the documents that are kept of it.
// They refer to the body, which must not change afterwards. A packument
// becomes three: [Full], [Abbreviated] and [kind.Summary]. A body over 1 GiB,
// or nested deeper than the 10,000 levels of jsontext, is an error, and so is a
// packument that must not replace the one of the summary, see [kind.ErrOlder] and
// [kind.ErrLost].
func (k *Kind) Prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	documents, err := k.prepare(r, from)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s of %q: %w", r.Endpoint, r.Group, err)
	}
	return documents, nil
}

func (k *Kind) prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	body := from.Body
	if len(body) > packument.MaxSource {
		return nil, fmt.Errorf("%w: larger than %d bytes", packument.ErrDocument, packument.MaxSource)
	}
	switch r.Endpoint {
	case endpointPackument, endpointVersion, endpointDistTags: // the latter two are excerpts of the first
		o := packument.Options{Tarballs: k.tarballs(r.Group), Times: k.time}
		if k.policy != nil {
			o.Withheld = k.policy.withheld(r.Group, from.Now)
		}
		return packument.Make(r.Group, from, o)
	case endpointKeys, endpointAttestations:
		return packument.Verbatim(body, r.Endpoint)
	}
	return nil, fmt.Errorf("%w: no metadata route", packument.ErrDocument)
}

// tarballs is the beginning of the tarball URLs of a package, escaped for JSON. A
// name needs no escaping.
func (k *Kind) tarballs(name string) string { return k.base + "/" + name + "/-/" }
