package dist

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"pkgedge/origin/kind"
)

// ErrList is wrapped in the error of Prepare for a body that is not the whole list
// that its route promises.
var ErrList = errors.New("not a complete list")

// summaryFormat is the first line of a summary. Its lines are
//
//	file/NAME       the file's digest, in hexadecimal
//	part/NAME       where a list or a signature is in the document
//	version/NAME    the files of a release in an index: "headers,linux-x64,src"
const summaryFormat = "dist memo 2"

// Prepare checks an index, a listing, or a list with its signatures, and keeps it
// as it is, with a summary beside it.
func (Kind) Prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	docs, err := prepare(r, from)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s: %w", r.Key, err)
	}
	return docs, nil
}

func prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	if len(from.Body) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrList)
	}
	summary := kind.NewSummary(summaryFormat)
	doc := kind.Document{ContentType: "text/plain; charset=utf-8", Body: bytesDocument(from.Body)}
	var err error
	switch r.Endpoint {
	case index:
		read := readTab
		if strings.HasSuffix(r.Key, ".json") {
			read, doc.ContentType = readJSON, "application/json"
		}
		var releases []release
		if releases, err = read(from.Body); err == nil {
			for _, r := range releases {
				summary.Add("version", []byte(r.version), []byte(strings.Join(r.has, ",")))
			}
			doc.Needs = promised(from.Summary, releases)
		}
	case shasums:
		if err = readSums(from.Body, summary); err == nil {
			doc.Body, err = together(r, from, summary)
		}
	case listing:
		doc.ContentType = "text/html; charset=utf-8"
	default:
		err = fmt.Errorf("%w: no metadata route", ErrList)
	}
	if err == nil {
		err = compare(r, from.Summary, summary)
	}
	if err != nil {
		return nil, err
	}
	doc.Size = int64(len(doc.Body.(bytesDocument)))
	return []kind.Document{doc, summary.Document()}, nil
}

// bytesDocument is a document as it came.
type bytesDocument []byte

func (d bytesDocument) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(d)
	return int64(n), err
}

// together joins a list and its signatures into one document, and notes where
// each is. A signature must be of that list: where it repeats the list, that can be
// seen.
func together(r kind.Route, from kind.Source, summary *kind.SummaryWriter) (bytesDocument, error) {
	all := slices.Clone(from.Body)
	name := r.Key[strings.LastIndexByte(r.Key, '/')+1:]
	summary.AddSpan("part", []byte(name), 0, int64(len(all)))
	for i, path := range r.Companions {
		text, ok := from.Companions[path]
		if !ok {
			continue
		}
		own := name + signatures[i]
		if err := checkSignature(own, text); err != nil {
			return nil, err
		}
		if signed := bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")); bytes.HasPrefix(text, []byte("-----BEGIN PGP SIGNED MESSAGE-----")) &&
			!bytes.Contains(signed, bytes.TrimSpace(bytes.ReplaceAll(from.Body, []byte("\r\n"), []byte("\n")))) {
			return nil, fmt.Errorf("%w: %s signs another list", ErrList, own)
		}
		summary.AddSpan("part", []byte(own), int64(len(all)), int64(len(text)))
		all = append(all, text...)
	}
	return all, nil
}

// readSums reads the output of sha256sum and shasum: a digest, a space, a mode, and
// the file's name. All the digests of a list are by one algorithm.
func readSums(body []byte, summary *kind.SummaryWriter) error {
	lines, err := wholeLines(body)
	if err != nil {
		return err
	}
	size := 0
	for i, line := range lines {
		sum, name, ok := bytes.Cut(line, []byte(" "))
		if ok && len(name) > 1 && (name[0] == ' ' || name[0] == '*') {
			name = name[1:]
		}
		raw, err := hex.DecodeString(string(sum))
		if size == 0 {
			size = len(raw)
		}
		if !ok || err != nil || len(name) == 0 || len(raw) != size || size != 32 && size != 20 {
			return fmt.Errorf("%w: line %d is no digest and a name", ErrList, i+1)
		}
		summary.Add("file", bytes.TrimPrefix(name, []byte("./")), bytes.ToLower(sum))
	}
	return nil
}

// wholeLines splits a body that ends with the end of a line, as one that was cut
// hardly does.
func wholeLines(body []byte) ([][]byte, error) {
	text, ok := bytes.CutSuffix(body, []byte("\n"))
	if !ok || len(text) == 0 {
		return nil, fmt.Errorf("%w: its last line is cut", ErrList)
	}
	lines := bytes.Split(text, []byte("\n"))
	for i := range lines {
		lines[i] = bytes.TrimSuffix(lines[i], []byte("\r"))
	}
	return lines, nil
}

// checkSignature looks for the two ends of an armoured signature (RFC 9580
// section 6), and at the first byte of a binary one (section 4.2).
func checkSignature(name string, body []byte) error {
	if len(body) == 0 {
		return fmt.Errorf("%w: %s is empty", ErrList, name)
	}
	if strings.HasSuffix(name, ".asc") {
		text := bytes.TrimSpace(body)
		if !bytes.HasPrefix(text, []byte("-----BEGIN PGP ")) || !bytes.HasSuffix(text, []byte("-----END PGP SIGNATURE-----")) {
			return fmt.Errorf("%w: it is no armoured signature", ErrList)
		}
		return nil
	}
	if body[0]&0x80 == 0 {
		return fmt.Errorf("%w: it is no signature", ErrList)
	}
	return nil
}

// compare says whether a list may replace the one before. Releases and their
// files are added and not taken away, so that a list without one of them is cut
// or old, from any master. A digest that changes is believed where a deletion would
// be. A directory that moves may lose files.
func compare(r kind.Route, before []byte, summary *kind.SummaryWriter) error {
	old, ok := kind.Lines(before, summaryFormat)
	if !ok || r.Endpoint == shasums && r.Group == "" {
		return nil
	}
	for _, prefix := range []string{"version", "file"} {
		have := summary.Keys(prefix)
		for name := range kind.Keys(old, prefix) {
			if !have[name] {
				return fmt.Errorf("%w: it lacks %s", kind.ErrOlder, name)
			}
		}
	}
	for name := range kind.Keys(old, "file") {
		was, _ := kind.Find(old, "file/"+name)
		if !summary.Has("file/"+name, was) {
			return fmt.Errorf("%w: the digest of %s was %s", kind.ErrLost, name, was)
		}
	}
	return nil
}
