package lockfile

import "github.com/go-json-experiment/json/jsontext"

// recogniseJSON tells Bun's form, which has a table of workspaces, from npm's.
func recogniseJSON(data []byte) (Form, error) {
	var doc struct {
		Workspaces jsontext.Value `json:"workspaces"`
		Version    jsontext.Value `json:"lockfileVersion"`
	}
	if err := unmarshal(data, &doc); err != nil {
		return "", err
	}
	switch {
	case doc.Version == nil:
		return "", ErrUnknown
	case doc.Workspaces != nil:
		return Bun, nil
	}
	return NPM, nil
}

// bun reads bun.lock. A package of a registry is
//
//	["name@version", "registry, or the tarball's URL", {…}, "integrity"]
//
// and the others have a specifier in place of the version.
func (l *list) bun(data []byte) error {
	var doc struct {
		Packages map[string][]jsontext.Value `json:"packages"`
	}
	if err := unmarshal(data, &doc); err != nil {
		return err
	}
	for _, entry := range doc.Packages {
		if err := l.bunEntry(entry); err != nil {
			return err
		}
	}
	return nil
}

func (l *list) bunEntry(entry []jsontext.Value) error {
	if len(entry) < 4 || entry[2].Kind() != '{' {
		l.skip()
		return nil
	}
	var (
		spec, source, integrity text
		about                   struct {
			Bundled flag `json:"bundled"`
		}
	)
	for i, v := range []any{&spec, &source, &about, &integrity} {
		if err := unmarshal(entry[i], v); err != nil {
			return err
		}
	}
	name, version, _ := cutSpec(string(spec))
	if about.Bundled {
		l.skip()
		return nil
	}
	file, _ := registryFile(name, string(source))
	l.add(Package{Name: name, Version: version, Integrity: string(integrity), File: file})
	return nil
}

// blankExtensions blanks the parts of bun.lock that JSON does not have: comments, and
// commas before a closing bracket. Offsets stay as they are.
func blankExtensions(data []byte) {
	comma := -1 // where the last token is a comma
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '"':
			i, comma = endOfString(data, i), -1
			continue
		case c == '/' && i+1 < len(data) && (data[i+1] == '/' || data[i+1] == '*'):
			i = blankComment(data, i)
			continue
		case c == ',':
			comma = i
		case c == '}' || c == ']':
			if comma >= 0 {
				data[comma] = ' '
			}
			comma = -1
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			comma = -1
		}
		i++
	}
}

// endOfString returns where the string that begins at i is over.
func endOfString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// blankComment blanks the comment that begins at i and returns its end.
func blankComment(data []byte, i int) int {
	line := data[i+1] == '/'
	data[i], data[i+1] = ' ', ' '
	for i += 2; i < len(data); i++ {
		switch {
		case line && data[i] == '\n':
			return i
		case !line && data[i] == '*' && i+1 < len(data) && data[i+1] == '/':
			data[i], data[i+1] = ' ', ' '
			return i + 2
		case data[i] != '\n':
			data[i] = ' '
		}
	}
	return i
}
