package npm

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/kind"
)

// ErrDocument is what Prepare returns, wrapped, for a body that is sound JSON
// but not the document its route promises. JSON that is cut is
// [io.ErrUnexpectedEOF], other broken JSON a [*jsontext.SyntacticError].
var ErrDocument = errors.New("not the document asked for")

// Prepare checks a metadata body and makes the documents that are kept of it.
// They refer to the body, which must not change afterwards. A packument
// becomes three: [Full], [Abbreviated] and [kind.Memo]. A body over 1 GiB,
// or nested deeper than the 10,000 levels of jsontext, is an error, and so is a
// packument that must not replace the one of the memo, see [kind.ErrOlder] and
// [kind.ErrLost].
func (k *Kind) Prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	documents, err := k.prepare(r, from)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s of %q: %w", r.What, r.Group, err)
	}
	return documents, nil
}

func (k *Kind) prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	body := from.Body
	if len(body) > maxSource {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrDocument, maxSource)
	}
	switch r.What {
	case packument, version, distTags: // the latter two are excerpts of the first
		return k.preparePackument(r.Group, from)
	case signingKeys, attestations:
		return verbatim(body, r.What)
	}
	return nil, fmt.Errorf("%w: no metadata route", ErrDocument)
}

// packumentScan is the state of one pass over a packument.
type packumentScan struct {
	rewriter
	short  plan
	memo   *kind.MemoWriter
	want   string // the name asked for
	number []byte // the key of the version being read

	head, headLen int // position of what the abbreviated document begins with
	install       int // position of installMember

	hasVersions, unpublished bool
	name, id                 match
	distTags                 span
	tagsAt                   int64 // where they are in the full document
	modified, timeModified   span
	times                    span // the member "time"
	rev                      span

	current versionScan
}

const installMember = `,"hasInstallScript":true`

func (k *Kind) preparePackument(want string, from kind.Source) ([]kind.Document, error) {
	memo := kind.NewMemo(memoFormat)
	body, until, err := k.policy.withhold(want, from, memo)
	if err != nil {
		return nil, err
	}
	s := &packumentScan{rewriter: newRewriter(k.tarballs(want), want, body), want: want, memo: memo}
	s.head, s.headLen = s.literal(`{"name":"` + want + `","versions":{`)
	s.install, _ = s.literal(installMember)
	// Enough for most: a version is over a kilobyte, and two pieces or six.
	s.full.pieces = make([]piece, 0, len(body)/512+8)
	s.short = plan{src: body, pieces: make([]piece, 0, len(body)/256+8)}
	s.short.add(s.head, s.headLen)
	if err := s.scan(); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := s.remember(from.Memo); err != nil {
		return nil, err
	}
	s.finishShort()
	if k.time && s.times != (span{}) {
		s.text(&s.short, `,"time":`)
		s.short.copy(s.times.from, s.times.to)
	}
	s.text(&s.short, `}`)
	s.finish()
	s.short.own = s.own
	full, short := s.full, s.short // without the rest of the scan
	return []kind.Document{
		{Variant: Full, ContentType: typeJSON, Size: full.size, Body: &full, Until: until},
		{Variant: Abbreviated, ContentType: typeAbbreviated, Size: short.size, Body: &short, Until: until},
		memo.Document(),
	}, nil
}

// tarballs is what the tarball URLs of a package begin with, escaped for JSON;
// a name needs no escaping.
func (k *Kind) tarballs(name string) string { return k.base + "/" + name + "/-/" }

// scan reads the top level. Where a name occurs twice the last one counts, as
// for every JSON reader that meets the documents.
func (s *packumentScan) scan() error {
	if err := s.object(); err != nil {
		return err
	}
	for {
		key, _, ok, err := s.next()
		if err != nil {
			return err
		}
		if !ok {
			return s.end()
		}
		switch string(key) {
		case "name":
			s.name, err = s.matches(s.want)
		case "_id":
			s.id, err = s.matches(s.want)
		case "versions":
			err = s.versions()
		case "time":
			err = s.time()
		case "dist-tags":
			s.distTags, err = s.value()
			s.tagsAt = s.at(s.distTags.from)
		case "modified":
			s.modified, err = s.stringValue()
		case "_rev":
			s.rev, err = s.stringValue()
		default:
			_, err = s.value()
		}
		if err != nil {
			return err
		}
	}
}

// check says whether what was read is the packument asked for.
func (s *packumentScan) check() error {
	switch {
	case s.name == differs:
		return fmt.Errorf("%w: it has another name", ErrDocument)
	case s.name == absent && s.id == absent:
		return fmt.Errorf("%w: it has no name", ErrDocument)
	case s.name == absent && s.id == differs:
		return fmt.Errorf("%w: it has another _id", ErrDocument)
	case !s.hasVersions && !s.unpublished:
		return fmt.Errorf("%w: it has no versions and is not unpublished", ErrDocument)
	}
	return nil
}

// finishShort writes what always follows the versions in the abbreviated
// document.
func (s *packumentScan) finishShort() {
	s.text(&s.short, `},"dist-tags":`)
	if s.distTags == (span{}) {
		s.text(&s.short, `{}`)
	} else {
		s.short.copy(s.distTags.from, s.distTags.to)
	}
	modified := s.timeModified
	if modified == (span{}) {
		modified = s.modified
	}
	if modified != (span{}) {
		s.text(&s.short, `,"modified":`)
		s.short.copy(modified.from, modified.to)
	}
}

// time reads the member "time": its "modified" is what the abbreviated form
// shows, and "unpublished" excuses a packument without versions.
func (s *packumentScan) time() (err error) {
	s.timeModified, s.unpublished = span{}, false
	if s.dec.PeekKind() != jsontext.KindBeginObject {
		s.times, err = s.value()
		return err
	}
	if err := s.object(); err != nil {
		return err
	}
	s.times.from = s.offset() - 1
	for {
		key, _, ok, err := s.next()
		if err != nil {
			return err
		}
		if !ok {
			s.times.to = s.offset()
			return nil
		}
		switch string(key) {
		case "modified":
			s.timeModified, err = s.stringValue()
		case "unpublished":
			s.unpublished = s.dec.PeekKind() != jsontext.KindNull
			_, err = s.value()
		default:
			_, err = s.value()
		}
		if err != nil {
			return err
		}
	}
}

// text appends a text of our own to a plan.
func (s *packumentScan) text(p *plan, text string) {
	at, n := s.literal(text)
	p.add(at, n)
}

// verbatim makes the one document of metadata that is kept as it is: a JSON
// object. One that says "error" and lacks the member it should have is an
// error page.
func verbatim(body []byte, member string) ([]kind.Document, error) {
	r := newReader(body)
	if err := r.object(); err != nil {
		return nil, err
	}
	var failed, found bool
	for {
		key, _, ok, err := r.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		failed = failed || string(key) == "error"
		found = found || string(key) == member
		if _, err := r.value(); err != nil {
			return nil, err
		}
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	if failed && !found {
		return nil, fmt.Errorf("%w: it is an error message", ErrDocument)
	}
	p := &plan{src: body}
	p.copy(0, len(body))
	return []kind.Document{{ContentType: typeJSON, Size: p.size, Body: p}}, nil
}
