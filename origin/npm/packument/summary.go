package packument

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"pkgedge/origin/kind"
)

// summaryFormat is the first line of a packument's summary. Its lines are
//
//	alias/NAME           the name that clients are given for a tarball, which has this one, too
//	at/VERSION, at/TAG   where the version's manifest is in the full document
//	base                 the place below which a tarball lies that has none of its own, where
//	                     that is not the master: see bases
//	bare/NAME            "-"; a tarball without a digest
//	dist-tags            where those are in it
//	file/NAME            algorithm and unpadded base64 of a tarball's digest
//	modified, rev        of the packument, where it has them
//	place/NAME           where a tarball is, as kind.Digest.At says it
//	version/VERSION      "-"
//	withheld/NAME, withheld version/VERSION
//	                     why a tarball, or a version, is not served
//	withheld at/VERSION, withheld at/TAG
//	                     why there is no such manifest
const summaryFormat = "npm memo 3"

var nothing = []byte("-")

// SubdocumentOfTags names the part of the full document that dist-tags are, for
// [kind.Route.Excerpt].
const SubdocumentOfTags = "dist-tags"

// SubdocumentOf names the part that the manifest of a version is, or of the version that
// a tag names.
func SubdocumentOf(version string) string { return "at/" + version }

// WithheldOf is the line of a summary that says why there is no manifest of a version or
// a tag.
func WithheldOf(version string) string { return "withheld at/" + version }

// File is the entry of a tarball in a summary.
type File struct {
	Listed   bool        // a version has it
	Withheld string      // why it must not be served, "" when it may
	Name     string      // that clients are given
	Digest   kind.Digest // zero for none, or for two that differ
	Place    []byte      // where it is, nil for the usual place below Base
	Base     []byte      // nil for that of the master
}

// Find reads the entry of a tarball of a package in a summary. ok is false for a summary of
// another format.
func Find(summary []byte, name, file string) (f File, ok bool) {
	lines, ok := kind.Lines(summary, summaryFormat)
	if !ok {
		return f, false
	}
	if why, ok := kind.Find(lines, "withheld/"+file); ok {
		return File{Listed: true, Withheld: string(why)}, true
	}
	line, once := kind.Find(lines, "file/"+file)
	_, bare := kind.Find(lines, "bare/"+file)
	if line == nil && !bare {
		if given, aliased := kind.Find(lines, "alias/"+file); aliased {
			file = string(given)
		} else if file = usualNameOf(name, file); file == "" {
			return f, true
		}
		line, once = kind.Find(lines, "file/"+file)
		if _, bare := kind.Find(lines, "bare/"+file); line == nil && !bare {
			return f, true
		}
	}
	f.Listed, f.Name = true, file
	f.Place, _ = kind.Find(lines, "place/"+file)
	f.Base, _ = kind.Find(lines, "base")
	if !once {
		return f, true
	}
	algorithm, encoded, _ := bytes.Cut(line, []byte("\t"))
	for _, a := range algorithms {
		if string(algorithm) != a.name {
			continue
		}
		if base64.RawStdEncoding.DecodedLen(len(encoded)) != a.size {
			break
		}
		sum := make([]byte, a.size)
		if n, err := base64.RawStdEncoding.Decode(sum, encoded); err == nil && n == a.size {
			f.Digest = kind.Digest{Algorithm: a.name, Sum: sum}
		}
		break
	}
	return f, true
}

// addVersion puts the version just read, n bytes at an offset of the full document,
// into the summary.
func (s *packumentScan) addVersion(at, n int64) {
	s.summary.AddSpan("at", s.number, at, n)
	s.summary.Add("version", s.number, nothing)
	t := &s.tarball
	if len(t.file) == 0 {
		return
	}
	if d := s.digest(s.current.sums); d.Algorithm == "" {
		s.summary.Add("bare", t.file, nothing)
	} else {
		var buf [96]byte
		s.summary.Add("file", t.file, []byte(d.Algorithm), base64.RawStdEncoding.AppendEncode(buf[:0], d.Sum))
	}
	if t.place != nil {
		s.summary.Add("place", t.file, t.place)
		s.misplaced = true
	}
	for _, other := range t.other {
		s.summary.Add("alias", other, t.file)
	}
}

// summaryDocument is the summary, complete.
func (s *packumentScan) summaryDocument() kind.Document {
	if s.bases.url != "" {
		s.summary.Add("base", nil, []byte(s.bases.url))
	}
	d := s.summary.Document()
	d.Misplaced = s.misplaced || s.bases.own
	return d
}

// completeSummary completes the summary, and compares it with the one before.
func (s *packumentScan) completeSummary(before []byte) error {
	modified := s.timeModified
	if modified == (Span{}) {
		modified = s.modified
	}
	date, rev := s.textOf(modified), s.textOf(s.rev)
	s.summary.Add("modified", nil, []byte(date))
	s.summary.Add("rev", nil, []byte(rev))
	if s.distTags != (Span{}) {
		s.summary.AddSpan("dist-tags", nil, s.tagsAt, int64(s.distTags.To-s.distTags.From))
		for tag, number := range tagsOf(s.src[s.distTags.From:s.distTags.To]) {
			s.summary.Alias("at", []byte(tag), "at/"+number)
		}
	}
	old, ok := kind.Lines(before, summaryFormat)
	if !ok {
		return nil // there is none, or it is of another format
	}
	versions := s.summary.Keys("version")
	maps.Copy(versions, s.summary.Keys("withheld version"))
	return compare(old, versions, date, rev)
}

// textOf is the text of a string of the source, "" for none.
func (s *packumentScan) textOf(sp Span) string {
	if sp == (Span{}) {
		return ""
	}
	return string(s.Unquote(s.src[sp.From:sp.To]))
}

// compare says whether a packument with those versions, date and revision may
// replace that of a summary. One that has gained a version and lost none is the
// newer one, even with an older date: dates are the masters' own.
func compare(old []byte, versions map[string]bool, date, rev string) error {
	held, kept := 0, 0
	for _, prefix := range []string{"version", "withheld version"} {
		for number := range kind.Keys(old, prefix) {
			held++
			if versions[number] {
				kept++
			}
		}
	}
	lost := held - kept
	order, what := compareAge(old, date, rev)
	switch {
	case lost == 0 && len(versions) > kept:
		return nil
	case order < 0:
		return fmt.Errorf("%w: its %s", kind.ErrOlder, what)
	case lost == 0:
		return nil
	case order == 0 && 2*lost > held:
		return fmt.Errorf("%w, and is not newer (%w): %d of %d versions", kind.ErrLost, kind.ErrOlder, lost, held)
	}
	return fmt.Errorf("%w: %d of %d versions", kind.ErrLost, lost, held)
}

// compareAge orders a packument and that of a summary by their dates, and where
// those are equal or missing, by the counter of _rev. It is 0 when neither tells.
func compareAge(old []byte, date, rev string) (order int, what string) {
	before, _ := kind.Find(old, "modified")
	was, err1 := time.Parse(time.RFC3339, string(before))
	is, err2 := time.Parse(time.RFC3339, date)
	if c := is.Compare(was); err1 == nil && err2 == nil && c != 0 {
		return c, fmt.Sprintf("time.modified is %s, not %s", is.Format(time.RFC3339), was.Format(time.RFC3339))
	}
	before, _ = kind.Find(old, "rev")
	n, ok1 := generation(string(before))
	m, ok2 := generation(rev)
	if !ok1 || !ok2 {
		return 0, ""
	}
	return cmp.Compare(m, n), fmt.Sprintf("_rev begins with %d, not %d", m, n)
}

// generation is the counter that a _rev begins with.
func generation(rev string) (int64, bool) {
	count, _, ok := strings.Cut(rev, "-")
	n, err := strconv.ParseInt(count, 10, 64)
	return n, ok && err == nil
}

// tagsOf reads dist-tags. A value that is not an object of strings has none.
func tagsOf(object []byte) map[string]string {
	r := NewReader(object)
	tags := map[string]string{}
	// An error ends it: a value that is no object has no tags.
	_ = r.Each(func(key []byte) error {
		tag := string(key)
		s, err := r.StringValue()
		if err == nil && s != (Span{}) {
			tags[tag] = string(r.Unquote(object[s.From:s.To]))
		}
		return err
	})
	return tags
}
