package lockfile

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The digests of the sample packages that the fixtures name.
const (
	colour   = "sha512-OYiHAMf+eX4eLmFMKeuz7zma3vVf+SpVS3oWX61ID21GVh5sOg35V1jwy8inskjQYt5RKzS2bthUe38U4oGBzg=="
	app      = "sha512-xhLjQvw5UApLUgt0JkVhPbFJOvKbv1aECcLfpGv7GpwgpZvdzKVxtxA1jQXqfh2gjLPURgAz1Ez512DMXKNz+w=="
	greet    = "sha512-/V4AHcJGkniPcKL5oYIGF3frOj9B6U6MuxOmlhUXhsFD+Q+xmFGzd9LNZZQ0guyNHVCakTAYN7z+D660BWOikQ=="
	payload  = "sha512-gVKBuJi56L/O9570zM3m+8l224w7OduBUsZhM0YGZ1P6OFVPNqsDtX8kbMBjrH3yIFhRVA4HPyW7PZDWRSAXpQ=="
	words090 = "sha512-NHpJ1biLh5LYYQ4T3P9jRtcrNF+OVkMkiDy/6PJo0qOcuAAov8SPOZPDmFMPxdVTKdSwwfkD+VfrRJ932qchuA=="
	words100 = "sha512-djXV9H91/oUDTa3f68UtVb9b7J6ko9q+qciaVXDmexC4kXbdw6/0amHsHnA3rIIuyvySRIEbAb8IZ5QMMSm+yw=="
	words110 = "sha512-G0gPduVvQX2EuL3yIV9FeMAF1NYG9R5fx7nGmlPDg0yXfmnNNEkYBMm81P7or2d2yRcdIFc07i/V3hkhDfLyXw=="
)

// project lists the packages of the fixtures' project: an alias of words 0.9.0, a
// workspace that wants words 1.0.0 exactly, a folder, and the sample app.
var project = []Package{
	{"@edge-sample/colour", "1.1.0", colour, "colour-1.1.0.tgz"},
	{"edge-sample-app", "1.0.0", app, "edge-sample-app-1.0.0.tgz"},
	{"edge-sample-greet", "1.0.1", greet, "edge-sample-greet-1.0.1.tgz"},
	{"edge-sample-payload", "1.0.0", payload, "edge-sample-payload-1.0.0.tgz"},
	{"edge-sample-words", "0.9.0", words090, "edge-sample-words-0.9.0.tgz"},
	{"edge-sample-words", "1.0.0", words100, "edge-sample-words-1.0.0.tgz"},
	{"edge-sample-words", "1.1.0", words110, "edge-sample-words-1.1.0.tgz"},
}

// Clients wrote the fixtures, against the edge with its sample masters; only the
// port is changed.
func TestWhatEachClientWrites(t *testing.T) {
	for _, tt := range []struct {
		file    string
		form    Form
		keep    func(*Package) // drops the fields that this form does not record
		without string         // the version of words that this client chose not to need
		skipped int
	}{
		{"npm-v1.json", NPM, nil, "", 2},
		{"npm-v2.json", NPM, nil, "", 2},
		{"npm-v3.json", NPM, nil, "", 2},
		{"pnpm-v5.4.yaml", PNPM, withoutFile, "1.1.0", 1},
		{"pnpm-v6.yaml", PNPM, withoutFile, "1.1.0", 1},
		{"pnpm-v9.yaml", PNPM, withoutFile, "1.1.0", 1},
		{"pnpm12-v9.yaml", PNPM, withoutFile, "", 1},
		{"yarn-v1.lock", Yarn, nil, "", 1},
		{"yarn-berry.lock", Berry, func(p *Package) { p.File, p.Integrity = "", "" }, "", 3},
		{"bun.lock", Bun, nil, "", 2},
	} {
		t.Run(tt.file, func(t *testing.T) {
			want := slices.DeleteFunc(slices.Clone(project), func(p Package) bool {
				return p.Name == "edge-sample-words" && p.Version == tt.without
			})
			for i := range want {
				if tt.keep != nil {
					tt.keep(&want[i])
				}
			}
			data := fixture(t, tt.file)
			for name, data := range map[string][]byte{
				"as written": data,
				"with CRLF":  bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")),
				"with a BOM": append([]byte("\ufeff"), data...),
			} {
				got, err := Read(bytes.NewReader(data))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if got.Form != tt.form || got.Skipped != tt.skipped {
					t.Errorf("%s: a lockfile of %s, %d skipped; want %s, %d", name, got.Form, got.Skipped, tt.form, tt.skipped)
				}
				diff(t, name, got.Packages, want)
			}
		})
	}
}

func withoutFile(p *Package) { p.File = "" }

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func diff(t *testing.T, what string, got, want []Package) {
	t.Helper()
	for _, p := range got {
		if !slices.Contains(want, p) {
			t.Errorf("%s: has %+v", what, p)
		}
	}
	for _, p := range want {
		if !slices.Contains(got, p) {
			t.Errorf("%s: lacks %+v", what, p)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: has %d packages; want %d", what, len(got), len(want))
	}
}

func TestWhatCannotBeReadSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       error  // nil for any
		says       string // part of the text
	}{
		{"an empty file", "", ErrUnknown, ""},
		{"a manifest", `{"name": "x", "workspaces": {"packages": ["a"]}, "dependencies": {"y": "1"}}`, ErrUnknown, ""},
		{"a page", "<!doctype html>\n", ErrUnknown, ""},
		{"any other YAML", "a: 1\n", ErrUnknown, ""},
		{"Bun's binary form", "#!/usr/bin/env bun\nbun-lockfile-format-v0\n\x00\x01", ErrBinary, ""},
		{"npm with a merge conflict", "{\n<<<<<<< HEAD\n\"lockfileVersion\": 3", nil, "invalid character '<'"},
		{"pnpm with a merge conflict", "lockfileVersion: '9.0'\n<<<<<<< HEAD\npackages: {}\n", nil, "line 3: could not find"},
		{"Yarn 1 with a merge conflict", "# yarn lockfile v1\n\n<<<<<<< HEAD\na@1:\n", nil, "line 3: neither a package nor its field"},
		{"Yarn 1 without a head", "# yarn lockfile v1\n  version \"1.0.0\"\n", nil, "line 2: a field without a package"},
		{"Yarn 1 with a bad string", "# yarn lockfile v1\na@1:\n  version \"1.0.0\n", nil, "line 3: cannot unquote"},
		{"pnpm of another age", "lockfileVersion: 4\n", nil, `lockfileVersion "4" is not one of 5.0 to 9.0`},
		{"npm cut short", `{"lockfileVersion": 3, "packages": {"node_modules/x": {`, nil, "unexpected EOF"},
		{"npm with packages of another type", `{"lockfileVersion": 3, "packages": []}`, nil, "lockfile of npm: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Read(strings.NewReader(tt.text))
			if err == nil {
				t.Fatalf("read as %+v", l)
			}
			if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error is %q; want %v, %q", err, tt.want, tt.says)
			}
		})
	}
}

// spaces is that many bytes of white space, too many to keep in memory.
type spaces struct{ left int64 }

func (s *spaces) Read(p []byte) (int, error) {
	n := min(int64(len(p)), s.left)
	if n == 0 {
		return 0, io.EOF
	}
	s.left -= n
	for i := range p[:n] {
		p[i] = ' '
	}
	return int(n), nil
}

func TestInputIsBounded(t *testing.T) {
	const size = 1 << 20
	endless := &spaces{left: 1 << 40}
	if _, err := readUpTo(endless, size); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error is %v; want ErrTooLarge", err)
	}
	if read := 1<<40 - endless.left; read > 2*size {
		t.Errorf("read %d bytes before it gave up", read)
	}
	broken := errors.New("broken")
	if _, err := Read(io.MultiReader(strings.NewReader("{"), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("error is %v; want the reader's", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
