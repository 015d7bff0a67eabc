package lockfile

import (
	"strings"
	"testing"
)

// Rules of each form that the clients' fixtures do not show.
func TestRulesOfEachForm(t *testing.T) {
	const (
		sri     = "sha512-AAAA"
		tarball = "https://registry.example/a/-/a-1.0.0.tgz"
	)
	npm3 := func(entries string) string { return `{"lockfileVersion": 3, "packages": {"": {},` + entries + `}}` }
	npm1 := func(entries string) string { return `{"lockfileVersion": 1, "dependencies": {` + entries + `}}` }
	pnpm := func(version, entries string) string {
		return "lockfileVersion: '" + version + "'\npackages:\n" + entries
	}
	yarn := func(entries string) string { return "# yarn lockfile v1\n\n" + entries }
	berry := func(resolution string) string {
		return "__metadata:\n  version: 8\n\n\"key\":\n  version: 1.0.0\n  resolution: \"" + resolution + "\"\n"
	}
	bun := func(entries string) string {
		return `{"lockfileVersion": 1, "workspaces": {"": {}}, "packages": {` + entries + `}}`
	}
	a := Package{"a", "1.0.0", sri, "a-1.0.0.tgz"}
	bare := Package{"a", "1.0.0", sri, ""}
	for _, tt := range []struct {
		name, text string
		want       []Package
		skipped    int
	}{
		{"npm: one package in two places is one",
			npm3(`"node_modules/a": {"version": "1.0.0", "resolved": "` + tarball + `", "integrity": "` + sri + `"},
				"node_modules/b/node_modules/a": {"version": "1.0.0", "resolved": "` + tarball + `", "integrity": "` + sri + `"}`),
			[]Package{a}, 0},
		{"npm: without resolved, see omit-lockfile-registry-resolved",
			npm3(`"node_modules/a": {"version": "1.0.0", "integrity": "` + sri + `"}`), []Package{bare}, 0},
		{"npm: bundled in another",
			npm3(`"node_modules/b/node_modules/a": {"version": "1.0.0", "inBundle": true}`), nil, 1},
		{"npm 6: bundled in another", npm1(`"a": {"version": "1.0.0", "resolved": false, "bundled": true}`), nil, 1},
		{"npm: Git", npm3(`"node_modules/a": {"version": "1.0.0", "resolved": "git+ssh://git@git.example/a.git#0a1b"}`), nil, 1},
		{"npm 6: Git", npm1(`"a": {"version": "github:user/a#0a1b", "from": "github:user/a"}`), nil, 1},
		{"npm: a tarball elsewhere",
			npm3(`"node_modules/a": {"version": "1.0.0", "resolved": "https://files.example/releases/download/v1/a.tgz", "integrity": "` + sri + `"}`), nil, 1},
		{"npm: a tarball in a file", npm3(`"node_modules/a": {"version": "1.0.0", "resolved": "file:a.tgz", "integrity": "` + sri + `"}`), nil, 1},
		{"npm: a registry with another URL",
			npm3(`"node_modules/@s/a": {"version": "1.0.0", "resolved": "https://registry.example/download/@s/a/1.0.0/0a1b", "integrity": "` + sri + `"}`),
			[]Package{{"@s/a", "1.0.0", sri, ""}}, 0},
		{"npm: an escaped scope",
			npm3(`"node_modules/@s/a": {"version": "1.0.0", "resolved": "https://registry.example/npm/@s%2fa/-/a-1.0.0.tgz"}`),
			[]Package{{"@s/a", "1.0.0", "", "a-1.0.0.tgz"}}, 0},
		{"npm: a folder of that name within a project is not a place for packages",
			npm3(`"my_node_modules/a": {"version": "1.0.0"}`), nil, 0},
		{"npm: a name that is a path", npm3(`"node_modules/..": {"version": "1.0.0"}, "node_modules/a/b": {"version": "1.0.0"}`), nil, 2},
		{"npm: a version that is a path", npm3(`"node_modules/a": {"version": "../1"}, "node_modules/b": {"version": "1/../2"}`), nil, 2},
		{"npm: a file that is a path",
			npm3(`"node_modules/a": {"version": "1.0.0", "resolved": "https://registry.example/a/-/..%2fx.tgz", "integrity": "` + sri + `"}`),
			[]Package{bare}, 0},
		{"npm: the last of equal keys", `{"lockfileVersion": 3, "packages": {}, "packages": {"node_modules/a": {"version": "1.0.0", "integrity": "` + sri + `"}}}`,
			[]Package{bare}, 0},
		{"npm 6: within another, and under an alias",
			npm1(`"b": {"version": "file:b", "dependencies": {"x": {"version": "npm:a@1.0.0", "resolved": "` + tarball + `", "integrity": "` + sri + `"}}}`),
			[]Package{a}, 1},

		{"pnpm 5: peers", pnpm("5.3", "  /@s/a/1.0.0_react@17.0.2:\n    resolution: {integrity: "+sri+"}\n  /a/1.0.0_0a1b:\n    resolution: {integrity: "+sri+"}\n"),
			[]Package{{"@s/a", "1.0.0", sri, ""}, bare}, 0},
		{"pnpm 5: peers as pnpm 3 wrote them", pnpm("5.0", "  /a/1.0.0/react@16.0.0:\n    resolution: {integrity: "+sri+"}\n"), []Package{bare}, 0},
		{"pnpm 5: a version that is a number", "lockfileVersion: 5.4\npackages:\n  /a/1.0.0:\n    resolution: {integrity: " + sri + "}\n", []Package{bare}, 0},
		{"pnpm 6: peers within peers", pnpm("6.0", "  /a@1.0.0(b@2.0.0(@s/c@3.0.0)):\n    resolution: {integrity: "+sri+"}\n"), []Package{bare}, 0},
		{"pnpm 6: another registry", pnpm("6.1", "  registry.example/@s/a@1.0.0:\n    resolution: {integrity: "+sri+", tarball: https://registry.example/@s/a/-/a-1.0.0.tgz}\n"),
			[]Package{{"@s/a", "1.0.0", sri, "a-1.0.0.tgz"}}, 0},
		{"pnpm 9: an odd tarball URL of a registry", pnpm("9.0", "  a@1.0.0:\n    resolution: {integrity: "+sri+", tarball: https://registry.example/x/a/-/a-v1.tgz}\n"),
			[]Package{{"a", "1.0.0", sri, "a-v1.tgz"}}, 0},
		{"pnpm 9: Git, a tarball elsewhere, a runtime", pnpm("9.0",
			"  a@git+ssh://git@git.example/a.git#0a1b:\n    resolution: {commit: 0a1b, type: git}\n"+
				"  b@https://git.example/b/tar.gz/0a1b:\n    resolution: {integrity: "+sri+", tarball: https://git.example/b/tar.gz/0a1b}\n"+
				"  node@runtime:24.0.0:\n    resolution: {type: variations, variants: []}\n"), nil, 3},
		{"pnpm 11: several documents", pnpm("9.0", "  a@1.0.0:\n    resolution: {integrity: "+sri+"}\n") + "---\n" + pnpm("9.0", "  b@1.0.0:\n    resolution: {integrity: "+sri+"}\n"),
			[]Package{bare, {"b", "1.0.0", sri, ""}}, 0},
		{"pnpm: nothing installed", "lockfileVersion: '9.0'\nimporters:\n  .: {}\n", nil, 0},

		{"Yarn 1: only a fragment", yarn("a@^1.0.0, a@1:\n  version \"1.0.0\"\n  resolved \"" + tarball + "#ea718fe42166c8501aacc2807d504eb08a3a03fc\"\n"),
			[]Package{{"a", "1.0.0", "sha1-6nGP5CFmyFAarMKAfVBOsIo6A/w=", "a-1.0.0.tgz"}}, 0},
		{"Yarn 1: two entries of one version are one", yarn("a@^1.0.0:\n  version \"1.0.0\"\n  resolved \"" + tarball + "\"\n  integrity " + sri +
			"\n\n\"a@>= 1, < 2\", a@1:\n  version \"1.0.0\"\n  resolved \"" + tarball + "\"\n  integrity " + sri + "\n  dependencies:\n    version \"9\"\n"),
			[]Package{a}, 0},
		{"Yarn 1: an offline mirror", yarn("\"@s/a@^1.0.0\":\n  version \"1.0.0\"\n  resolved \"@s-a-1.0.0.tgz#ea71\"\n"),
			[]Package{{"@s/a", "1.0.0", "", ""}}, 0},
		{"Yarn 1: a tarball in a file", yarn("\"a@file:./a.tgz\":\n  version \"1.0.0\"\n  resolved \"file:./a.tgz#ea71\"\n"), nil, 1},
		{"Yarn 1: Git", yarn("\"a@git+https://git.example/a.git\":\n  version \"1.0.0\"\n  resolved \"git+https://git.example/a.git#0a1b\"\n"), nil, 1},
		{"Yarn 1: an alias without a range", yarn("\"x@npm:@s/a\":\n  version \"1.0.0\"\n  resolved \"https://registry.example/@s/a/-/a-1.0.0.tgz#0a1b\"\n"),
			[]Package{{"@s/a", "1.0.0", "", "a-1.0.0.tgz"}}, 0},

		{"Berry: a tarball URL of its own", berry("a@npm:1.0.0::__archiveUrl=https%3A%2F%2Fregistry.example%2Fa%2F-%2Fa-v1.tgz"), []Package{{"a", "1.0.0", "", "a-v1.tgz"}}, 0},
		{"Berry: a patch", berry("a@patch:a@npm%3A1.0.0#./a.patch::version=1.0.0&hash=0a1b"), nil, 1},
		{"Berry: a tarball elsewhere", berry("a@https://files.example/a.tgz"), nil, 1},

		{"Bun: the default registry", bun(`"a": ["a@1.0.0", "", {}, "` + sri + `"]`), []Package{bare}, 0},
		{"Bun: bundled, Git, a tarball elsewhere, a link", bun(`"b/a": ["a@1.0.0", "", {"bundled": true}, "` + sri + `"],
			"c": ["c@git+ssh://git@git.example/c.git#0a1b", {}, "0a1b"],
			"d": ["d@https://files.example/d.tgz", {}, "` + sri + `"],
			"e": ["e@link:e", {}],`), nil, 4},
		{"Bun: comments, and a comma at the end", "// generated\n" + bun("/* \"b\": [,] */ \"a\": [\"a@1.0.0\", \"\", {}, \""+sri+"\", /**/ ], // a\n"), []Package{bare}, 0},
		{"a string with a comment and a comma in it is left alone",
			npm3(`"node_modules/a": {"version": "1.0.0", "integrity": "// ,} \" /* ,]"}`), []Package{{"a", "1.0.0", `// ,} " /* ,]`, ""}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			diff(t, "it", got.Packages, tt.want)
			if got.Skipped != tt.skipped {
				t.Errorf("skipped %d; want %d", got.Skipped, tt.skipped)
			}
		})
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "@s/a": true, "JSONStream": true, "a.b_c-~": true, "@s/_a": true, strings.Repeat("a", 255): true,
		"": false, "@s": false, "@s/": false, "@/a": false, "s/a": false, "@s/a/b": false, ".a": false, "@s/..": false, "_a": false,
		"a b": false, "a%2fb": false, "a\n": false, "é": false, "Node_Modules": false, strings.Repeat("a", 256): false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v; want %v", name, got, want)
		}
	}
}
