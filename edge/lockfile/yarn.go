package lockfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// yarnEntry is the package that Yarn 1 resolved some patterns to.
type yarnEntry struct {
	pattern, version, resolved, integrity string
}

// yarn reads the yarn.lock of Yarn 1, which looks like YAML and is not:
//
//	"alias@npm:name@^1.0.0", name@^1.0.0:
//	  version "1.0.0"
//	  resolved "https://registry.example/name/-/name-1.0.0.tgz#<sha1>"
//	  integrity sha512-…
//	  dependencies:
//	    other "^1.0.0"
func (l *list) yarn(data []byte) error {
	var e *yarnEntry
	number := 0
	for raw := range bytes.Lines(data) {
		number++
		line := strings.TrimRight(string(raw), " \t\r\n")
		content := strings.TrimLeft(line, " ")
		if content == "" || content[0] == '#' {
			continue
		}
		var err error
		switch indent := len(line) - len(content); {
		case indent == 0:
			l.yarnEntry(e)
			e = &yarnEntry{}
			e.pattern, err = yarnPattern(content)
		case e == nil:
			err = errors.New("a field without a package")
		case indent == 2:
			err = e.field(content)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	l.yarnEntry(e)
	return nil
}

// yarnPattern returns the first pattern of an entry's head.
func yarnPattern(head string) (string, error) {
	patterns, ok := strings.CutSuffix(head, ":")
	if !ok {
		return "", errors.New("neither a package nor its field")
	}
	if strings.HasPrefix(patterns, `"`) {
		return unquote(patterns[:endOfString([]byte(patterns), 0)])
	}
	first, _, _ := strings.Cut(patterns, ",")
	return first, nil
}

// field takes "key value" or "key:". The second is the head of a table, which is not
// needed.
func (e *yarnEntry) field(line string) error {
	key, value, _ := strings.Cut(line, " ")
	into := map[string]*string{"version": &e.version, "resolved": &e.resolved, "integrity": &e.integrity}[key]
	if into == nil {
		return nil
	}
	if !strings.HasPrefix(value, `"`) {
		*into = value
		return nil
	}
	var err error
	*into, err = unquote(value)
	return err
}

func unquote(quoted string) (string, error) {
	plain, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return "", fmt.Errorf("cannot unquote %.80q", quoted)
	}
	return string(plain), nil
}

func (l *list) yarnEntry(e *yarnEntry) {
	if e == nil {
		return
	}
	name, wanted, _ := cutSpec(e.pattern)
	if alias, ok := strings.CutPrefix(wanted, "npm:"); ok {
		if target, _, ok := cutSpec(alias); ok {
			name = target
		} else {
			name = alias
		}
	}
	tarball, fragment, _ := strings.Cut(e.resolved, "#")
	file, ok := registryFile(name, tarball)
	if !ok && (tarball == "" || strings.ContainsAny(tarball, ":/")) { // else of an offline mirror
		l.skip()
		return
	}
	p := Package{Name: name, Version: e.version, Integrity: e.integrity, File: file}
	if sum, err := hex.DecodeString(fragment); p.Integrity == "" && err == nil && len(sum) == 20 {
		p.Integrity = "sha1-" + base64.StdEncoding.EncodeToString(sum)
	}
	l.add(p)
}
