package lockfile

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fuzz checks the promises of the package for the parser of one form.
func fuzz(f *testing.F, form Form, parse func(*list, []byte) error) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		data := fixture(f, filepath.Base(file.Name()))
		if got, err := Read(bytes.NewReader(data)); err == nil && got.Form == form {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := &list{seen: map[Package]struct{}{}}
		blankExtensions(bytes.Clone(data))
		if parse(l, data) != nil {
			return
		}
		all := l.sorted()
		if len(slices.Compact(slices.Clone(all))) != len(all) {
			t.Error("a package is there twice")
		}
		for _, p := range all {
			if !ValidName(p.Name) || !validVersion(p.Version) || p.File != "" && !validFile(p.File) {
				t.Errorf("%+v cannot stand in a URL", p)
			}
		}
		l.skipped = 0
		if err := parse(l, data); err != nil {
			t.Errorf("fails the second time: %v", err)
		}
		if !slices.Equal(l.sorted(), all) {
			t.Error("reads differently the second time")
		}
	})
}

func FuzzNPM(f *testing.F) {
	f.Add([]byte(`{"lockfileVersion": 1, "dependencies": {"x": {"version": "npm:a@1.0.0"}}}`))
	fuzz(f, NPM, (*list).npm)
}

func FuzzPNPM(f *testing.F) {
	f.Add([]byte("lockfileVersion: 5.0\npackages:\n  /@a/b/1.0.0/c@1:\n    resolution: {integrity: x}\n"))
	fuzz(f, PNPM, (*list).pnpm)
}

func FuzzYarn(f *testing.F)  { fuzz(f, Yarn, (*list).yarn) }
func FuzzBerry(f *testing.F) { fuzz(f, Berry, (*list).berry) }

func FuzzBun(f *testing.F) {
	fuzz(f, Bun, func(l *list, data []byte) error {
		data = bytes.Clone(data)
		blankExtensions(data)
		return l.bun(data)
	})
}

// FuzzRead covers the choice between the forms.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`/**/{"lockfileVersion": 1, "workspaces": {}, "packages": {"a": [,]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := Read(bytes.NewReader(data)); (got == nil) == (err == nil) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
