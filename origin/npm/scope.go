package npm

import (
	"slices"
	"strings"

	"pkgedge/origin/kind"
)

// ofAccount adds the scope of the account that a raw path below /-/org, /-/team
// or /-/user begins with: the scope of an account has its name.
func ofAccount(r kind.Route, rest string) kind.Route {
	if r.Class != kind.PassPrimary || rest == "" {
		return r
	}
	account, _ := cutSegment(rest[1:])
	account = strings.ToLower(strings.TrimPrefix(unescape(account), "@"))
	if !label(account) {
		return r
	}
	scopes := slices.Insert(mentioned(r.Path), 0, "@"+account)
	r.Scope, r.OtherScopes = scopes[0], scopes[1:]
	return r
}

// ofOwnAccount is for a request about the client's own account. It may have the name of a
// user or a secret in its path or body, where an "@" begins no scope.
func ofOwnAccount(r kind.Route) kind.Route {
	r.Scope, r.OtherScopes, r.Strips, r.Account = "", nil, false, kind.AsksAccount
	if r.Endpoint == endpointLogin {
		r.Account = kind.LogsIn
	}
	return r
}

// deepest is how often a text is unescaped when scopes are looked for in it: a name
// that is escaped twice is not hidden.
const deepest = 3

// mentioned lists the scopes that a path with its query mentions anywhere, in
// lower case, the first before the others: every word behind an "@", and behind
// "scope:" in the text of a search. It rather lists too much:
// "@acme!" may be that scope, or @acme in a sentence.
func mentioned(path string) (scopes []string) {
	text := strings.ToLower(path)
	if strings.IndexByte(text, '?') >= 0 {
		text = strings.ReplaceAll(text, "+", " ")
	}
	for range 1 + deepest {
		for i := range len(text) {
			if text[i] == '@' {
				scopes = appendScope(scopes, text[i+1:])
			} else if after, ok := strings.CutPrefix(text[i:], "scope:"); ok {
				scopes = appendScope(scopes, strings.TrimLeft(after, ` "'@`))
			}
		}
		plain := unescapeSome(text)
		if plain == text {
			break
		}
		text = plain
	}
	if len(scopes) < 2 {
		return scopes
	}
	// Once each; a map, for a query may have thousands.
	seen := make(map[string]bool, len(scopes))
	return slices.DeleteFunc(scopes, func(s string) bool {
		again := seen[s]
		seen[s] = true
		return again
	})
}

// appendScope adds the scope that a text begins with, in each way to read it.
func appendScope(scopes []string, text string) []string {
	end := 0
	for end < len(text) && nameByte(text[end]) {
		end++
	}
	whole := text[:end]
	word, _, _ := strings.Cut(whole, "__") // pnpm writes a folder @acme/n so
	if i := strings.IndexAny(word, "!~*'()"); i >= 0 {
		word = word[:i]
	}
	for _, s := range []string{whole, word, strings.TrimRight(word, "-_.")} {
		if label(s) && (len(scopes) == 0 || scopes[len(scopes)-1] != "@"+s) {
			scopes = append(scopes, "@"+s)
		}
	}
	return scopes
}

// unescapeSome decodes the sound percent escapes of s, once, in lower case, and
// leaves the others.
func unescapeSome(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if escaped, ok := kind.EscapedByte(s[i:]); ok {
			c = escaped
			i += 2
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}
