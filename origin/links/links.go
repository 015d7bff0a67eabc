package links

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"
)

// MaxBody is how much of a response, as it comes and decoded, is looked through for
// URLs. A longer one passes as it is.
const MaxBody = 256 << 10

// Rewrite gives the URLs in a response that passes as local does: those of the Link field, and
// those at the JSON pointers of a kind.Route's Links. local is false for a URL that stays. A
// response that cannot be read as JSON passes as it is, to the byte.
func Rewrite(resp *http.Response, pointers []string, local func(text string) (string, bool)) {
	for i, line := range resp.Header["Link"] {
		resp.Header["Link"][i] = relinkField(line, local)
	}
	if len(pointers) == 0 || resp.ContentLength > MaxBody || !isText(resp.Header) {
		return
	}
	from := resp.Body
	raw, err := io.ReadAll(io.LimitReader(from, MaxBody+1))
	rest := io.Reader(from)
	if err != nil {
		rest = failing{err}
	}
	resp.Body = readCloser{io.MultiReader(bytes.NewReader(raw), rest), from}
	if err != nil || len(raw) > MaxBody {
		return
	}
	body, ok := decoded(raw, resp.Header["Content-Encoding"])
	if !ok {
		return
	}
	if body, ok = relink(body, pointers, local); !ok {
		return
	}
	for _, name := range []string{"Content-Encoding", "Content-Md5", "Etag", "Digest", "Repr-Digest", "Content-Digest"} {
		resp.Header.Del(name)
	}
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	resp.ContentLength, resp.TransferEncoding = int64(len(body)), nil
	resp.Body = readCloser{bytes.NewReader(body), from}
}

type readCloser struct {
	io.Reader
	io.Closer
}

// failing is a body that has broken off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// isText says whether a body may be JSON. Some masters do not say that it is.
func isText(h http.Header) bool {
	t, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return t == "" || t == "application/json" || t == "text/plain" || strings.HasSuffix(t, "+json")
}

// AcceptedCoding is the Accept-Encoding that goes to a master with a client's request
// whose response is looked through: a coding that can be undone here.
func AcceptedCoding(h http.Header) string {
	for _, line := range h["Accept-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(coding, ";")
			refused := weight != "" && strings.Trim(weight, " q=0.") == "" // q=0
			if strings.EqualFold(strings.TrimSpace(name), "gzip") && !refused {
				return "gzip"
			}
		}
	}
	return "identity"
}

// decoded undoes the content coding of a body, if it can.
func decoded(raw []byte, codings []string) (body []byte, ok bool) {
	switch coding := strings.Join(codings, ","); {
	case coding == "", strings.EqualFold(coding, "identity"):
		return raw, true
	case !strings.EqualFold(coding, "gzip") && !strings.EqualFold(coding, "x-gzip"):
		return nil, false
	}
	zr, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, false
	}
	body, err = io.ReadAll(io.LimitReader(zr, MaxBody+1))
	return body, err == nil && len(body) <= MaxBody
}

// relink gives the URLs in a JSON document as local does. ok is false where none changes,
// and where it is no JSON.
func relink(body []byte, links []string, local func(string) (string, bool)) (out []byte, ok bool) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	done := 0 // how much of body is in out
	for {
		if dec.PeekKind() != '"' {
			if _, err := dec.ReadToken(); err == io.EOF {
				return append(out, body[done:]...), done > 0
			} else if err != nil {
				return nil, false
			}
			continue
		}
		v, err := dec.ReadValue()
		if err != nil {
			return nil, false
		}
		if outer, n := dec.StackIndex(dec.StackDepth()); outer == '{' && n%2 == 1 {
			continue // the name of a member
		}
		if !matchesAny(string(dec.StackPointer()), links) {
			continue
		}
		text, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			continue
		}
		if to, ok := local(string(text)); ok {
			end := int(dec.InputOffset())
			out = append(out, body[done:end-len(v)]...)
			out, _ = jsontext.AppendQuote(out, to) // a URL is ASCII
			done = end
		}
	}
}

// matchesAny compares a JSON pointer with patterns, of which a part "*" is any.
func matchesAny(pointer string, patterns []string) bool {
	for _, pattern := range patterns {
		if matches(pointer, pattern) {
			return true
		}
	}
	return false
}

func matches(pointer, pattern string) bool {
	for pointer != "" && pattern != "" {
		var is, want string
		is, pointer = cutPart(pointer)
		want, pattern = cutPart(pattern)
		if is != want && want != "*" {
			return false
		}
	}
	return pointer == pattern
}

// cutPart cuts the first part off a pointer: "/urls/next" is "urls" and "/next".
func cutPart(pointer string) (part, rest string) {
	part = pointer[1:]
	if i := strings.IndexByte(part, '/'); i >= 0 {
		return part[:i], part[i:]
	}
	return part, ""
}

// relinkField gives the URLs of a Link field (RFC 8288) as local does.
func relinkField(line string, local func(string) (string, bool)) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(line, "<")
		u, rest, closed := strings.Cut(after, ">")
		if !found || !closed {
			b.WriteString(line)
			return b.String()
		}
		if to, ok := local(u); ok {
			u = to
		}
		b.WriteString(before + "<" + u + ">")
		line = rest
	}
}
