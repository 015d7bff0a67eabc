package npm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"pkgedge/origin/npm/packument"
)

// maxAuditDepth is how deep the tree of an audit may be. Each package that lies
// within another takes two levels.
const maxAuditDepth = 1000

// StripAudit takes the packages of private scopes out of the question a client
// puts to POST /-/npm/v1/security/advisories/bulk, /-/npm/v1/security/audits or
// …/audits/quick, so that it may be put to a registry that must not hear of
// them. The body is JSON without a content coding; private is asked for scopes
// like "@acme", in lower case.
//
// At any depth, it drops
//   - members of objects whose key is a name in a private scope, or mentions one,
//     with all that lies below them,
//   - packages that are one by another name: those whose version, name, from or
//     resolved says so, like "npm:@acme/n@1.0.0",
//   - other strings that mention a private scope, with their key,
//
// and of the project itself, it blanks such a name. Everything else keeps its
// bytes, save for white space between the tokens; the body itself is returned
// when nothing is private. It is not changed.
//
// The error, for a body that is not one JSON object or is nested deeper than a
// thousand levels, means that nothing is known of the body: it must not be sent.
func StripAudit(body []byte, private func(scope string) bool) ([]byte, error) {
	s := auditStrip{Reader: packument.NewReader(body), private: private, out: make([]byte, 0, len(body))}
	if _, err := s.members(0); err != nil {
		return nil, fmt.Errorf("cannot read audit: %w", err)
	}
	if err := s.End(); err != nil {
		return nil, fmt.Errorf("cannot read audit: %w", err)
	}
	if !s.changed {
		return body, nil
	}
	return s.out, nil
}

// errMentions: a body is about a private scope.
var errMentions = errors.New("it names a package of a private scope")

// refuseMentions lets a body pass that is JSON and mentions no private scope, or
// is empty.
func refuseMentions(body []byte, private func(scope string) bool) ([]byte, error) {
	if len(body) == 0 {
		return body, nil
	}
	left, err := StripAudit(body, private)
	if err == nil && !bytes.Equal(left, body) {
		err = errMentions
	}
	return left, err
}

// auditStrip is the state of one StripAudit.
type auditStrip struct {
	packument.Reader
	private func(scope string) bool
	out     []byte
	changed bool
}

// members reads an object and writes the rest of it. It reports whether the
// object is that of a private package.
func (s *auditStrip) members(depth int) (private bool, err error) {
	if depth > maxAuditDepth {
		return false, fmt.Errorf("%w: it is nested too deep", packument.ErrDocument)
	}
	if err := s.Object(); err != nil {
		return false, err
	}
	s.out = append(s.out, '{')
	for first := true; ; {
		key, m, ok, err := s.Next()
		if err != nil {
			return false, err
		}
		if !ok {
			s.out = append(s.out, '}')
			return private, nil
		}
		hidden := s.mentions(key)
		named, identifies := false, false
		switch string(key) {
		case "name":
			named, identifies = depth == 0, depth > 0
		case "version", "from", "resolved":
			identifies = depth > 0
		}
		before := len(s.out)
		if !first {
			s.out = append(s.out, ',')
		}
		s.out = append(s.out, s.Text(packument.Span{From: m.From, To: s.Offset()})...)
		s.out = append(s.out, ':')
		at := len(s.out)
		isString := s.Kind() == jsontext.KindString
		inside, err := s.any(depth + 1)
		if err != nil {
			return false, err
		}
		switch {
		case !hidden && !inside:
			first = false
			continue
		case !hidden && named && isString:
			s.out = append(s.out[:at], `""`...)
			first = false
		default:
			s.out = s.out[:before]
		}
		s.changed = true
		private = private || identifies && isString
	}
}

// any reads a value and writes the rest of it. It reports whether all of it
// is private.
func (s *auditStrip) any(depth int) (private bool, err error) {
	switch s.Kind() {
	case jsontext.KindBeginObject:
		return s.members(depth)
	case jsontext.KindBeginArray:
		return false, s.elements(depth)
	}
	v, err := s.Value()
	if err != nil {
		return false, err
	}
	text := s.Text(v)
	s.out = append(s.out, text...)
	return text[0] == '"' && s.mentions(s.Unquote(text)), nil
}

// elements reads an array and writes the rest of it.
func (s *auditStrip) elements(depth int) error {
	if depth > maxAuditDepth {
		return fmt.Errorf("%w: it is nested too deep", packument.ErrDocument)
	}
	if err := s.Token(); err != nil {
		return err
	}
	s.out = append(s.out, '[')
	for first := true; s.Kind() != jsontext.KindEndArray; {
		before := len(s.out)
		if !first {
			s.out = append(s.out, ',')
		}
		private, err := s.any(depth + 1)
		if err != nil {
			return err
		}
		if private {
			s.out, s.changed = s.out[:before], true
			continue
		}
		first = false
	}
	s.out = append(s.out, ']')
	return s.Token()
}

// mentions reports whether a text has a private scope in it. A text that is a name,
// or a name with a version, is in the scope it says and no other.
func (s *auditStrip) mentions(text []byte) bool {
	if !bytes.ContainsAny(text, "@%") {
		return false
	}
	n, ok := parseName(string(text))
	if !ok {
		n, _, ok = parseSpec(string(text))
	}
	if ok && n.scope != "" {
		return s.private(n.scopeKey())
	}
	return slices.ContainsFunc(mentioned(string(text)), s.private)
}
