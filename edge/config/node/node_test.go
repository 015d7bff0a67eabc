package node

import (
	"slices"
	"strconv"
	"testing"

	"pkgedge/edge/edgetest"
)

// readName reads the key "name" of text, and returns its value and the problems.
func readName(text string) (name string, problems []string) {
	r := NewReader("config.yaml", edgetest.EnvOf(map[string]string{"SET": "x", "EMPTY": ""}))
	if v, ok := r.Document([]byte(text)); ok {
		v.Object(Fields{"name": Into(&name, func(text string) (string, error) { return text, nil }), "list": All(new([]int), strconv.Atoi), "anchor": func(Value) {}})
	}
	for _, p := range r.Problems() {
		problems = append(problems, p.String())
	}
	return name, problems
}

func TestReader(t *testing.T) {
	for _, tt := range []struct {
		text, name string
		problems   []string
	}{
		{"name: a", "a", nil},
		{"name: ${SET}-${UNSET:-b}-${EMPTY:-c}-$${SET}", "x-b-c-${SET}", nil},
		{"name: ${UNSET}", "", []string{"config.yaml:1: name: the environment has no variable UNSET: set it, or write ${UNSET:-default}"}},
		{"name: \"${a b}\"", "", []string{"config.yaml:1: name: ${a b} is not a variable: write ${NAME} or ${NAME:-default}, and $${ for a plain ${"}},
		{"anchor: &a { name: far }\n<<: *a\n", "far", nil},
		{"anchor: &a { name: far }\n<<: *a\nname: near", "near", nil},
		{"<<: 1", "", []string{"config.yaml:1: << must name one mapping, such as *anchor"}},
		{"name: a\nname: b\n", "a", []string{"config.yaml:2: name: is already set on line 1: remove one of them"}},
		{"name: [a]\nlist: 1\n", "", []string{"config.yaml:1: name: must be a single value, not a list", "config.yaml:2: list: must be a list, not a single value"}},
		{"list: [1, x]\nnmae: a", "", []string{"config.yaml:1: list[1]: strconv.Atoi: parsing \"x\": invalid syntax", "config.yaml:2: nmae: unknown key: did you mean name?"}},
		{"name: !!str a", "", []string{"config.yaml:1: name: has the tag !!str: tags mean nothing here, remove it"}},
		{"name:", "", []string{"config.yaml:1: name: has no value: give it one, or remove the key"}},
		{"name: a\n---\nname: b", "", []string{"config.yaml:2: a second document begins: keep one, and remove this ---"}},
		{"", "", []string{"config.yaml:1: the file is empty: write a configuration, or run without a file for the built-in one"}},
		{"name: a\nlist: \xff", "", []string{"config.yaml:2: is not UTF-8 text: save the file as UTF-8"}},
	} {
		if name, problems := readName(tt.text); name != tt.name || !slices.Equal(problems, tt.problems) {
			t.Errorf("%q: name %q, problems %q; want %q, %q", tt.text, name, problems, tt.name, tt.problems)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"listen", "public_url", "cache", "limits"}
	for word, want := range map[string]string{"listn": "listen", "publicurl": "public_url", "Cache": "cache", "limit": "limits", "sites": "", "x": "", "": ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q; want %q", word, got, want)
		}
	}
}
