package lockfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MaxSize is the size a lockfile may have, in bytes. The largest known are
// some 5 MB.
const MaxSize = 64 << 20

// Errors of [Read], besides errors of syntax.
var (
	ErrTooLarge = fmt.Errorf("larger than %d MiB", MaxSize>>20)
	ErrUnknown  = errors.New("not a lockfile of npm, pnpm, Yarn or Bun")
	ErrBinary   = errors.New("a binary bun.lockb; write the text form with: bun install --save-text-lockfile")
)

// Form says which client writes a lockfile.
type Form string

const (
	NPM   Form = "npm"
	PNPM  Form = "pnpm"
	Yarn  Form = "Yarn 1"
	Berry Form = "Yarn Berry"
	Bun   Form = "Bun"
)

// Lockfile lists the packages of a lockfile.
type Lockfile struct {
	Form     Form
	Packages []Package // sorted by all their fields, each once
	Skipped  int       // entries that are not of a registry
}

// Package is one version of a package of a registry.
type Package struct {
	Name    string // "@scope/name"
	Version string
	// Integrity is the digest of the tarball: SRI, with one hash or several, such as
	// "sha512-…". Yarn 1's fragment is written "sha1-…". It is empty when
	// none is recorded, and may be anything that a lockfile can hold.
	Integrity string
	// File is the last segment of the tarball's URL, when that is recorded.
	File string
}

// Read reads a lockfile of any form. Its error wraps [ErrTooLarge],
// [ErrUnknown] or [ErrBinary], or says where the syntax is wrong, or is r's.
func Read(r io.Reader) (*Lockfile, error) { return readUpTo(r, MaxSize) }

func readUpTo(r io.Reader, size int64) (*Lockfile, error) {
	data, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > size {
		return nil, ErrTooLarge
	}
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n")
	if len(data) > 0 && (data[0] == '{' || data[0] == '/') {
		blankExtensions(data)
	}
	form, err := recognise(data)
	if err != nil {
		return nil, err
	}
	l := &list{seen: map[Package]struct{}{}}
	switch form {
	case NPM:
		err = l.npm(data)
	case PNPM:
		err = l.pnpm(data)
	case Yarn:
		err = l.yarn(data)
	case Berry:
		err = l.berry(data)
	case Bun:
		err = l.bun(data)
	}
	if err != nil {
		return nil, fmt.Errorf("lockfile of %s: %w", form, err)
	}
	return &Lockfile{Form: form, Packages: l.sorted(), Skipped: l.skipped}, nil
}

// recognise tells the form by a mark that no other form has.
func recognise(data []byte) (Form, error) {
	if bytes.HasPrefix(data, []byte("#!")) && bytes.Contains(data[:min(len(data), 100)], []byte("bun-lockfile-format")) {
		return "", ErrBinary
	}
	if data = bytes.TrimLeft(data, " \t\r\n"); len(data) > 0 && data[0] == '{' {
		return recogniseJSON(data)
	}
	for line := range bytes.Lines(data) {
		switch {
		case bytes.HasPrefix(line, []byte("# yarn lockfile v1")):
			return Yarn, nil
		case bytes.HasPrefix(line, []byte("__metadata:")):
			return Berry, nil
		case bytes.HasPrefix(line, []byte("lockfileVersion:")):
			return PNPM, nil
		}
	}
	return "", ErrUnknown
}

// list collects the packages of a lockfile.
type list struct {
	seen    map[Package]struct{}
	skipped int
}

// add adds p, unless its name or version could not be of a registry.
func (l *list) add(p Package) {
	if !ValidName(p.Name) || !validVersion(p.Version) {
		l.skip()
		return
	}
	l.seen[p] = struct{}{}
}

func (l *list) skip() { l.skipped++ }

func (l *list) sorted() []Package {
	all := make([]Package, 0, len(l.seen))
	for p := range l.seen {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Package) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Integrity, b.Integrity), cmp.Compare(a.File, b.File),
		)
	})
	return all
}
