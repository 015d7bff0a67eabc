package npm

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"pkgedge/origin/kind"
)

// Lists returns the packument route of a tarball, whose digests say what the
// tarball must hash to.
func (k *Kind) Lists(file kind.Route) (kind.Route, bool) {
	if file.Class != kind.File || file.What != tarball {
		return kind.Route{}, false
	}
	n, ok := parseName(file.Group)
	if !ok {
		return kind.Route{}, false
	}
	return packumentRoute(n, kind.Digests), true
}

// Digest finds a tarball in the digests document of its packument. It is the
// strongest the packument has: sha512, sha384, sha256 or sha1. There is none
// for a file that the packument does not list, lists without one, or lists
// twice with different ones.
func (k *Kind) Digest(file kind.Route, digests []byte) (kind.Digest, bool) {
	name, ok := strings.CutPrefix(file.Key, "tarball/"+file.Group+"/")
	if !ok || file.What != tarball {
		return kind.Digest{}, false
	}
	lines, ok := bytes.CutPrefix(digests, []byte(digestsHeader))
	if !ok {
		return kind.Digest{}, false
	}
	line, ok := findLine(lines, name)
	if !ok {
		return kind.Digest{}, false
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
		if n, err := base64.RawStdEncoding.Decode(sum, encoded); err != nil || n != a.size {
			break
		}
		return kind.Digest{Algorithm: a.name, Sum: sum}, true
	}
	return kind.Digest{}, false
}

// digestsHeader is the first line of a digests document and names its format:
// then lines of file name, algorithm and unpadded base64, with tabs between
// them, sorted by file name. No file name has a byte below the space.
const digestsHeader = "npm digests 1\n"

// findLine searches sorted lines for the only one of a file and returns what
// follows the name.
func findLine(lines []byte, name string) (rest []byte, ok bool) {
	low, high := 0, len(lines) // both where a line starts, or the end
	for low < high {
		middle := low + (high-low)/2
		start := bytes.LastIndexByte(lines[low:middle], '\n') + 1 + low
		line, _, _ := bytes.Cut(lines[start:high], []byte("\n"))
		file, after, _ := bytes.Cut(line, []byte("\t"))
		switch next := min(start+len(line)+1, high); {
		case string(file) < name:
			low = next
		case string(file) > name:
			high = start
		default:
			twice := begins(lines[next:], name)
			if start > 0 {
				before := bytes.LastIndexByte(lines[:start-1], '\n') + 1
				twice = twice || begins(lines[before:], name)
			}
			return after, !twice
		}
	}
	return nil, false
}

// begins reports whether the first line is one of the file.
func begins(lines []byte, name string) bool {
	return len(lines) > len(name) && lines[len(name)] == '\t' && string(lines[:len(name)]) == name
}

// digestList collects the lines of a digests document.
type digestList struct {
	text  []byte
	lines []piece
}

func (l *digestList) reset() { l.text, l.lines = l.text[:0], l.lines[:0] }

// add notes the digest of a file, if it has one.
func (l *digestList) add(file []byte, d kind.Digest) {
	if d.Algorithm == "" {
		return
	}
	at := len(l.text)
	if n := len(file) + 128; cap(l.text)-at < n { // double: append would grow by a quarter
		l.text = slices.Grow(l.text, at+n)
	}
	l.text = append(l.text, file...)
	l.text = append(l.text, '\t')
	l.text = append(l.text, d.Algorithm...)
	l.text = append(l.text, '\t')
	l.text = base64.RawStdEncoding.AppendEncode(l.text, d.Sum)
	l.text = append(l.text, '\n')
	l.lines = append(l.lines, piece{uint32(at), uint32(len(l.text) - at)})
}

// document sorts the lines. The tab after a file name sorts before any byte of
// one, so that whole lines may be compared.
func (l *digestList) document() kind.Document {
	line := func(p piece) []byte { return l.text[p.at : p.at+p.n] }
	slices.SortFunc(l.lines, func(a, b piece) int { return bytes.Compare(line(a), line(b)) })
	l.lines = slices.CompactFunc(l.lines, func(a, b piece) bool { return bytes.Equal(line(a), line(b)) })
	p := &plan{src: l.text, own: []byte(digestsHeader)}
	p.add(len(l.text), len(digestsHeader))
	for _, piece := range l.lines {
		p.add(int(piece.at), int(piece.n))
	}
	return kind.Document{Variant: kind.Digests, ContentType: "text/plain; charset=utf-8", Size: p.size, Body: p}
}

// algorithms are those a digest may have, the strongest first.
var algorithms = [...]struct {
	name string
	size int
}{{"sha512", 64}, {"sha384", 48}, {"sha256", 32}, {"sha1", 20}}

// digest chooses the strongest of what a dist says of its tarball. The sum is
// valid until the next call.
func (w *rewriter) digest(d sums) kind.Digest {
	if d.integrity != (span{}) {
		if best, ok := w.strongest(w.unquote(w.src[d.integrity.from:d.integrity.to])); ok {
			return best
		}
	}
	if d.shasum != (span{}) {
		text := w.unquote(w.src[d.shasum.from:d.shasum.to])
		if len(text) == 2*20 {
			if n, err := hex.Decode(w.sum[:], text); err == nil {
				return kind.Digest{Algorithm: "sha1", Sum: w.sum[:n]}
			}
		}
	}
	return kind.Digest{}
}

// strongest reads integrity metadata (Subresource Integrity, section 3.5):
// hashes with spaces between them, each with options after a "?". An algorithm
// with two different sums allows either, which a digest cannot say, so it is
// passed over.
func (w *rewriter) strongest(integrity []byte) (kind.Digest, bool) {
	for _, a := range algorithms[:3] {
		var found []byte
		several := false
		for hash := range bytes.FieldsSeq(integrity) {
			encoded, ok := bytes.CutPrefix(hash, []byte(a.name))
			if !ok || len(encoded) == 0 || encoded[0] != '-' {
				continue
			}
			encoded, _, _ = bytes.Cut(encoded[1:], []byte("?"))
			encoded = bytes.TrimRight(encoded, "=")
			if base64.RawStdEncoding.DecodedLen(len(encoded)) != a.size {
				continue
			}
			several = several || found != nil && !bytes.Equal(found, encoded)
			found = encoded
		}
		if found == nil || several {
			continue
		}
		if n, err := base64.RawStdEncoding.Decode(w.sum[:], found); err == nil && n == a.size {
			return kind.Digest{Algorithm: a.name, Sum: w.sum[:n]}, true
		}
	}
	return kind.Digest{}, false
}
