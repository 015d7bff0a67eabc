package packument

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/kind"
)

// Media types of the two forms of a packument.
const (
	TypeJSON        = "application/json"
	TypeAbbreviated = "application/vnd.npm.install-v1+json"
)

// Variants of a packument.
const (
	Full        = "full"        // as published
	Abbreviated = "abbreviated" // the members that an install needs
)

// ErrDocument is wrapped in the error for a body that is sound JSON and not the
// document that its route promises. JSON that is cut is
// [io.ErrUnexpectedEOF], other broken JSON a [*jsontext.SyntacticError].
var ErrDocument = errors.New("not the document asked for")

// packumentScan is the state of one pass over a packument.
type packumentScan struct {
	rewriter
	short     plan
	summary   *kind.SummaryWriter
	want      string // the name asked for
	number    []byte // the key of the version being read
	misplaced bool   // a tarball is not in the usual place

	head, headLen int // position of the beginning of the abbreviated document
	install       int // position of installMember

	hasVersions            bool // it has a member "versions", of any kind
	failed, manifest       bool // it has a member "error", or "version"
	name, id               match
	distTags               Span
	tagsAt                 int64 // where they are in the full document
	modified, timeModified Span
	times                  Span // the member "time"
	rev                    Span
	restrictions           Span // the member by which npm tells why versions are withheld

	current versionScan
}

const installMember = `,"hasInstallScript":true`

// Options are a site's choices for its packuments.
type Options struct {
	// Tarballs is the beginning of the tarball URLs that clients are given,
	// escaped for a JSON string: a public base, the name, and "/-/".
	Tarballs string

	// Times puts "time" into the abbreviated form, as the full form has it.
	Times bool

	// Withheld is the rule for versions that are not served. It may be nil.
	Withheld Withheld
}

// Make checks that a body is the packument of a name and returns its three
// documents: [Full], [Abbreviated] and [kind.Summary]. They refer to the body, which
// must not change afterwards. A packument that must not replace that of the summary
// is an error: see [kind.ErrOlder] and [kind.ErrLost].
func Make(want string, from kind.Source, o Options) ([]kind.Document, error) {
	summary := kind.NewSummary(summaryFormat)
	body, until := from.Body, time.Time{}
	if o.Withheld != nil {
		var err error
		if body, until, err = withhold(want, body, o.Withheld, summary); err != nil {
			return nil, err
		}
	}
	s := &packumentScan{rewriter: newRewriter(o.Tarballs, want, kind.Source{Body: body, Base: from.Base}), want: want, summary: summary}
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
	if err := s.completeSummary(from.Summary); err != nil {
		return nil, err
	}
	s.finishShort()
	if o.Times && s.times != (Span{}) {
		s.write(&s.short, `,"time":`)
		s.short.copy(s.times.From, s.times.To)
	}
	s.write(&s.short, `}`)
	s.finish()
	s.short.added = s.added
	full, short := s.full, s.short // without the rest of the scan
	return []kind.Document{
		{Variant: Full, ContentType: TypeJSON, Size: full.size, Body: &full, Until: until},
		{Variant: Abbreviated, ContentType: TypeAbbreviated, Size: short.size, Body: &short, Until: until},
		s.summaryDocument(),
	}, nil
}

// scan reads the top level. Where a name occurs twice the last one counts, as
// for every JSON reader that meets the documents.
func (s *packumentScan) scan() error {
	err := s.Each(func(key []byte) (err error) {
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
			s.distTags, err = s.Value()
			s.tagsAt = s.at(s.distTags.From)
		case "modified":
			s.modified, err = s.StringValue()
		case "policyRestrictions":
			s.restrictions, err = s.Value()
		case "_rev":
			s.rev, err = s.StringValue()
		case "error":
			s.failed = true
			_, err = s.Value()
		case "version":
			s.manifest = true
			_, err = s.Value()
		default:
			_, err = s.Value()
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.End()
}

// check returns an error unless the source is the packument asked for. A packument
// without a version is one: registries write "versions": [] for none, where they are
// written in PHP, or leave the member out. One with the name in another case says that
// the registry ignores case, and has no package of the name asked for: a deny list, a
// purge and a private scope know each package by one name.
func (s *packumentScan) check() error {
	switch {
	case s.name == otherCase || s.name == absent && s.id == otherCase:
		return fmt.Errorf("%w: the registry writes this name in another case", kind.ErrAbsent)
	case s.name == differs:
		return fmt.Errorf("%w: it has another name", ErrDocument)
	case s.name == absent && s.id == absent:
		return fmt.Errorf("%w: it has no name", ErrDocument)
	case s.name == absent && s.id == differs:
		return fmt.Errorf("%w: it has another _id", ErrDocument)
	case s.failed && !s.hasVersions:
		return fmt.Errorf("%w: it is an error message", ErrDocument)
	case s.manifest && !s.hasVersions:
		return fmt.Errorf("%w: it is that of one version", ErrDocument)
	}
	return nil
}

// finishShort writes the members behind the versions of the abbreviated document.
func (s *packumentScan) finishShort() {
	s.write(&s.short, `},"dist-tags":`)
	if s.distTags == (Span{}) || s.src[s.distTags.From] != '{' {
		s.write(&s.short, `{}`)
	} else {
		s.short.copy(s.distTags.From, s.distTags.To)
	}
	modified := s.timeModified
	if modified == (Span{}) {
		modified = s.modified
	}
	if modified != (Span{}) {
		s.write(&s.short, `,"modified":`)
		s.short.copy(modified.From, modified.To)
	}
	if s.restrictions != (Span{}) {
		s.write(&s.short, `,"policyRestrictions":`)
		s.short.copy(s.restrictions.From, s.restrictions.To)
	}
}

// time reads the member "time". Its "modified" stands in the abbreviated form.
func (s *packumentScan) time() (err error) {
	s.timeModified = Span{}
	if s.Kind() != jsontext.KindBeginObject {
		s.times, err = s.Value()
		return err
	}
	if err := s.Object(); err != nil {
		return err
	}
	s.times.From = s.Offset() - 1
	for {
		key, _, ok, err := s.Next()
		if err != nil {
			return err
		}
		if !ok {
			s.times.To = s.Offset()
			return nil
		}
		switch string(key) {
		case "modified":
			s.timeModified, err = s.StringValue()
		default:
			_, err = s.Value()
		}
		if err != nil {
			return err
		}
	}
}

// write appends a text of our own to a plan.
func (s *packumentScan) write(p *plan, text string) {
	at, n := s.literal(text)
	p.add(at, n)
}

// plan is a document as a list of pieces of its source, with texts of our own
// between them. Positions below len(src) lie in src, the others in own.
type plan struct {
	src, added []byte
	pieces     []piece
	size       int64
}

// piece is a range of positions. Eight bytes, without a pointer: there may be
// a hundred thousand, and the collector need not look at them.
type piece struct{ at, n uint32 }

// MaxSource is the largest source of a plan, in bytes. It leaves positions for
// the texts of our own.
const MaxSource = 1 << 30

// add appends n bytes from position at. Pieces that touch become one.
func (p *plan) add(at, n int) {
	if n == 0 {
		return
	}
	p.size += int64(n)
	if last := len(p.pieces) - 1; last >= 0 && at != len(p.src) {
		if l := &p.pieces[last]; int(l.at)+int(l.n) == at {
			l.n += uint32(n)
			return
		}
	}
	p.pieces = append(p.pieces, piece{uint32(at), uint32(n)})
}

// copy appends the source from one offset to another.
func (p *plan) copy(from, to int) { p.add(from, to-from) }

// reset drops all pieces.
func (p *plan) reset() { p.pieces, p.size = p.pieces[:0], 0 }

// gather is how many bytes of small pieces WriteTo joins into one write.
const gather = 16 << 10

// WriteTo writes the document. It may be called more than once, also at the
// same time.
func (p *plan) WriteTo(w io.Writer) (int64, error) {
	var total int64
	buf := make([]byte, 0, min(gather, p.size))
	write := func(b []byte) error {
		n, err := w.Write(b)
		total += int64(n)
		return err
	}
	for _, piece := range p.pieces {
		b := p.bytes(piece)
		if len(buf)+len(b) > cap(buf) && len(buf) > 0 {
			if err := write(buf); err != nil {
				return total, err
			}
			buf = buf[:0]
		}
		if len(b) < cap(buf) {
			buf = append(buf, b...)
			continue
		}
		if err := write(b); err != nil {
			return total, err
		}
	}
	if len(buf) > 0 {
		if err := write(buf); err != nil {
			return total, err
		}
	}
	return total, nil
}

func (p *plan) bytes(q piece) []byte {
	if at := int(q.at); at < len(p.src) {
		return p.src[at : at+int(q.n)]
	}
	at := int(q.at) - len(p.src)
	return p.added[at : at+int(q.n)]
}
