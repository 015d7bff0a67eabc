package packument

import (
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// field says how a member of a version goes into the abbreviated form.
type field uint8

const (
	left field = iota // left out
	copied
	dist
	scripts
	deprecated
	hasInstallScript
)

// fieldOf knows the members of the abbreviated form. The list is that of the
// registry's own description, with libc, which installers otherwise fetch the
// full form for, and the second spelling of bundleDependencies.
func fieldOf(key []byte) field {
	switch string(key) {
	case "name", "version", "dependencies", "acceptDependencies",
		"optionalDependencies", "devDependencies", "bundleDependencies",
		"bundledDependencies", "peerDependencies", "peerDependenciesMeta",
		"bin", "directories", "engines", "_hasShrinkwrap", "funding", "cpu",
		"os", "libc":
		return copied
	case "dist":
		return dist
	case "scripts":
		return scripts
	case "deprecated":
		return deprecated
	case "hasInstallScript":
		return hasInstallScript
	}
	return left
}

// versionScan collects the facts of one version. It is used again for the next one.
type versionScan struct {
	members      []member // those the abbreviated form has, in the order of the source
	deprecatedAt int      // where in members "deprecated" is, -1 if nowhere
	script       bool     // "scripts" has one that runs on install
	declared     bool     // "hasInstallScript" is true
	sums         sums     // the digests in "dist"
}

// versions reads the member "versions". In the abbreviated form a second one
// replaces the first.
func (s *packumentScan) versions() error {
	s.short.reset()
	s.short.add(s.head, s.headLen)
	s.summary.Drop("file")
	s.summary.Drop("version")
	s.summary.Drop("at")
	s.summary.Drop("bare")
	s.summary.Drop("place")
	s.summary.Drop("alias")
	s.bases, s.misplaced = bases{}, false
	s.hasVersions = true
	if s.Kind() != jsontext.KindBeginObject { // there is none
		_, err := s.Value()
		return err
	}
	if err := s.Object(); err != nil {
		return err
	}
	for first := true; ; first = false {
		key, m, ok, err := s.Next()
		if err != nil || !ok {
			return err
		}
		s.number = append(s.number[:0], key...)
		from := m.sep
		if first {
			from = m.From
		}
		if err := s.version(from); err != nil {
			return err
		}
	}
}

// version reads one version and writes the abbreviated form of it, which
// begins at from: at its name or at the comma before that. A value that is no
// object is copied.
func (s *packumentScan) version(from int) error {
	if s.Kind() != jsontext.KindBeginObject {
		v, err := s.Value()
		s.short.copy(from, v.To)
		return err
	}
	if err := s.Object(); err != nil {
		return err
	}
	open := s.Offset()
	at := s.at(open - 1)
	if err := s.versionMembers(); err != nil {
		return err
	}
	s.short.copy(from, open)
	s.shortMembers()
	s.short.copy(s.Offset()-1, s.Offset())
	s.addVersion(at, s.at(s.Offset())-at)
	return nil
}

// versionMembers collects the members of a version, to its end.
func (s *packumentScan) versionMembers() error {
	v := &s.current
	*v = versionScan{members: v.members[:0], deprecatedAt: -1}
	s.splices = s.splices[:0]
	s.tarball.clear()
	for {
		key, m, ok, err := s.Next()
		if err != nil || !ok {
			return err
		}
		f := fieldOf(key)
		switch f {
		case dist:
			v.sums, err = s.dist(s.number)
		case scripts:
			v.script, err = s.installScript()
		case hasInstallScript:
			var b Span
			b, err = s.Value()
			v.declared = string(s.src[b.From:b.To]) == "true"
		case deprecated:
			var value Span
			value, err = s.Value()
			if v.deprecatedAt >= 0 {
				v.members = slices.Delete(v.members, v.deprecatedAt, v.deprecatedAt+1)
				v.deprecatedAt = -1
			}
			if err == nil && truthy(s.Text(value)) {
				v.deprecatedAt = len(v.members)
				f = copied
			}
		default:
			_, err = s.Value()
		}
		if err != nil {
			return err
		}
		if f == copied || f == dist {
			m.to = s.Offset()
			v.members = append(v.members, m)
		}
	}
}

// truthy says whether JavaScript, in which the clients are written, takes a JSON value
// for true. A registry may mark a version with "deprecated": true.
func truthy(value []byte) bool {
	switch string(value) {
	case `false`, `null`, `""`:
		return false
	}
	if value[0] == '-' || '0' <= value[0] && value[0] <= '9' {
		n, _ := strconv.ParseFloat(string(value), 64) // one that is too large is infinite
		return n != 0
	}
	return true
}

// shortMembers writes the abbreviated form of the version just read.
func (s *packumentScan) shortMembers() {
	v := &s.current
	splices := s.splices
	for i, m := range v.members {
		from := m.sep
		if i == 0 {
			from = m.From
		}
		for len(splices) > 0 && splices[0].from < m.to {
			from = s.splice(&s.short, from, splices[0])
			splices = splices[1:]
		}
		s.short.copy(from, m.to)
	}
	switch at, n := s.install, len(installMember); {
	case !v.script && !v.declared:
	case len(v.members) > 0:
		s.short.add(at, n)
	default:
		s.short.add(at+1, n-1)
	}
}

// installScript reads the member "scripts" of a version and reports whether
// one of them runs on install.
func (s *packumentScan) installScript() (found bool, err error) {
	if s.Kind() != jsontext.KindBeginObject {
		_, err := s.Value()
		return false, err
	}
	var runs [3]bool
	err = s.Each(func(key []byte) error {
		i := -1
		switch string(key) {
		case "preinstall":
			i = 0
		case "install":
			i = 1
		case "postinstall":
			i = 2
		}
		command, err := s.StringValue()
		if err == nil && i >= 0 {
			runs[i] = command.To-command.From > len(`""`)
		}
		return err
	})
	return runs[0] || runs[1] || runs[2], err
}
