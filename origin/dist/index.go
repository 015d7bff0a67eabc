package dist

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"pkgedge/origin/kind"
)

// release is the entry of one in an index.
type release struct {
	version string
	has     []string // "headers", "linux-x64", "src"
}

// readJSON reads index.json: a list of objects that have a version.
func readJSON(body []byte) ([]release, error) {
	var listed []struct {
		Version string   `json:"version"`
		Files   []string `json:"files"`
	}
	if err := json.Unmarshal(body, &listed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrList, err)
	}
	if len(listed) == 0 {
		return nil, fmt.Errorf("%w: it has no releases", ErrList)
	}
	var releases []release
	for _, l := range listed {
		if l.Version == "" {
			return nil, fmt.Errorf("%w: a release has no version", ErrList)
		}
		releases = append(releases, release{l.Version, l.Files})
	}
	return releases, nil
}

// readTab reads index.tab: a line of names, the first of which is "version", and
// a line for each release.
func readTab(body []byte) ([]release, error) {
	lines, err := wholeLines(body)
	if err != nil {
		return nil, err
	}
	names := strings.Split(string(lines[0]), "\t")
	if names[0] != "version" || len(lines) == 1 {
		return nil, fmt.Errorf("%w: it has no releases", ErrList)
	}
	files := slices.Index(names, "files")
	var releases []release
	for i, line := range lines[1:] {
		columns := bytes.Split(line, []byte("\t"))
		if len(columns) != len(names) {
			return nil, fmt.Errorf("%w: line %d has not %d columns", ErrList, i+2, len(names))
		}
		r := release{version: string(columns[0])}
		if files >= 0 {
			r.has = strings.Split(string(columns[files]), ",")
		}
		releases = append(releases, r)
	}
	return releases, nil
}

// maxPromised bounds the paths that one index is held back for. A release of
// Node's has some twenty.
const maxPromised = 64

// promised lists the paths that an index newly names: the lists of the releases
// it adds to those of the index before, and the files that it adds to any.
func promised(before []byte, releases []release) (paths []string) {
	old, ok := kind.Lines(before, summaryFormat)
	if !ok {
		return nil
	}
	for _, r := range releases {
		if !isRelease(r.version) {
			continue
		}
		text, known := kind.Find(old, "version/"+r.version)
		if !known {
			paths = append(paths, join([]string{r.version, sha256List}))
		}
		had := strings.Split(string(text), ",")
		for _, what := range r.has {
			if name := fileOf(r.version, what); name != "" && !slices.Contains(had, what) {
				paths = append(paths, join([]string{r.version, name}))
			}
		}
	}
	slices.Sort(paths)
	return paths[:min(len(paths), maxPromised)]
}

// fileOf is the file that an index means by a word in a release's list, "" where
// no rule gives its name.
func fileOf(version, what string) string {
	name := "node-" + version
	system, rest, _ := strings.Cut(what, "-")
	machine, form, _ := strings.Cut(rest, "-")
	switch {
	case what == "src":
		return name + ".tar.gz"
	case what == "headers":
		return name + "-headers.tar.gz"
	case machine == "":
		return ""
	case system == "linux" || system == "aix" || system == "sunos":
		return name + "-" + what + ".tar.gz"
	case system == "osx" && form == "tar":
		return name + "-darwin-" + machine + ".tar.gz"
	case system == "win" && (form == "zip" || form == "7z"):
		return name + "-win-" + machine + "." + form
	}
	return ""
}
