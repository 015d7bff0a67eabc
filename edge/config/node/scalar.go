package node

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Text reads a scalar, with ${NAME} replaced.
func (v Value) Text() (string, bool) { return v.expanded(v.r.env) }

// secret reads a scalar. A variable that is unset is empty, so that a secret is
// optional.
func (v Value) secret() (string, bool) {
	return v.expanded(func(name string) (string, bool) {
		text, _ := v.r.env(name)
		return text, true
	})
}

// expanded reads a scalar, with variables of env.
func (v Value) expanded(env func(string) (string, bool)) (string, bool) {
	if v.shape != nil {
		v.shape.Scalar = true
		return "", false
	}
	if !v.is(yaml.ScalarNode, "a single value") {
		return "", false
	}
	text, unset, odd := expand(v.node.Value, env)
	for _, ref := range odd {
		v.Bad("%s is not a variable: write ${NAME} or ${NAME:-default}, and $${ for a plain ${", ref)
	}
	for _, name := range unset {
		v.Bad("the environment has no variable %s: set it, or write ${%s:-default}", name, name)
	}
	return text, len(unset)+len(odd) == 0
}

// OneOf reads one of the words.
func (v Value) OneOf(words ...string) (string, bool) {
	if v.shape != nil {
		v.shape.Words = words
	}
	text, ok := v.Text()
	if !ok || slices.Contains(words, text) {
		return text, ok
	}
	if near := Nearest(text, words); near != "" {
		v.Bad("%q is not known: did you mean %s?", text, near)
	} else {
		v.Bad("%q is not known: write %s", text, strings.Join(words, " or "))
	}
	return "", false
}

// Word returns a function that reads one of the words and puts it in dst.
func Word[T ~string](dst *T, words ...T) func(Value) {
	return func(v Value) {
		known := make([]string, len(words))
		for i, w := range words {
			known[i] = string(w)
		}
		if word, ok := v.OneOf(known...); ok {
			*dst = T(word)
		}
	}
}

// Flag returns a function that reads true or false and puts it in dst.
func Flag(dst *bool) func(Value) {
	return func(v Value) {
		if v.shape != nil {
			v.shape.Flag = true
		}
		if word, ok := v.OneOf("true", "false"); ok {
			*dst = word == "true"
		}
	}
}

// Into returns a function that reads a scalar with parse and puts it in dst.
func Into[T any](dst *T, parse func(string) (T, error)) func(Value) {
	return into(dst, Value.Text, parse)
}

// Secret is Into for a secret, in which a variable may be unset.
func Secret(dst *string, parse func(string) (string, error)) func(Value) {
	return into(dst, Value.secret, parse)
}

func into[T any](dst *T, read func(Value) (string, bool), parse func(string) (T, error)) func(Value) {
	return func(v Value) {
		if v.shape != nil {
			v.shape.Accepts = func(text string) bool { _, err := parse(text); return err == nil }
		}
		text, ok := read(v)
		if !ok {
			return
		}
		if got, err := parse(text); err != nil {
			v.Bad("%v", err)
		} else {
			*dst = got
		}
	}
}

// All returns a function that reads a list of scalars with parse and puts it in dst.
func All[T any](dst *[]T, parse func(string) (T, error)) func(Value) {
	return func(v Value) {
		var list []T
		v.Each(func(v Value) {
			var item T
			before := v.r.Count()
			if Into(&item, parse)(v); v.r.Count() == before {
				list = append(list, item)
			}
		})
		*dst = list
	}
}

var (
	reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)
	variable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// expand replaces each ${NAME} and ${NAME:-default} in text by the value in env, and
// $${ by ${. The default stands for a variable that is unset or empty. It also
// returns the names with neither a value nor a default, and the references that
// have no name.
func expand(text string, env func(string) (string, bool)) (expanded string, unset, odd []string) {
	expanded = reference.ReplaceAllStringFunc(text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		body, closed := strings.CutSuffix(ref[len("${"):], "}")
		name, otherwise, hasDefault := strings.Cut(body, ":-")
		if !closed || !variable.MatchString(name) {
			odd = append(odd, ref)
			return ""
		}
		got, ok := env(name)
		if hasDefault && got == "" {
			return otherwise
		}
		if !ok {
			unset = append(unset, name)
		}
		return got
	})
	return expanded, unset, odd
}
