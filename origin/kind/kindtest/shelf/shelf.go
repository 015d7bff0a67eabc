package shelf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"pkgedge/origin/kind"
)

// Descriptor describes the kind.
func Descriptor() kind.Descriptor {
	return kind.Descriptor{
		Name:     "shelf",
		New:      New,
		GroupOf:  titleOf,
		Defaults: kind.Defaults{Metadata: 7 * time.Minute, Files: 100 * time.Hour, Missing: 3 * time.Second, IfError: kind.Forever},
		Keys: []kind.Key{
			{
				Name: "banned", Type: kind.List, Check: checkTitle,
				Foreign: "names books, which a %s site has none of: remove the key",
				Show:    func(titles []string) (string, string) { return "banned", strings.Join(titles, ", ") },
			},
			{
				Name: "print.loud", Type: kind.Flag,
				Foreign: "is about books, which a %s site has none of: remove the key",
			},
		},
	}
}

func checkTitle(text string) error {
	if strings.ContainsAny(text, "/ ") {
		return fmt.Errorf("%q is no title: write one word", text)
	}
	return nil
}

// Kind is a shelf of books.
type Kind struct {
	banned []string
	loud   bool
}

// titleOf is the title in a key.
func titleOf(key string) string {
	_, rest, _ := strings.Cut(key, "/")
	title, _, _ := strings.Cut(rest, "/")
	return title
}

// New makes the kind for a site.
func New(o kind.Options) (kind.Kind, error) {
	return Kind{banned: o.Settings.List("banned"), loud: o.Settings.Flag("print.loud")}, nil
}

// Route names a book or one of its files.
func (k Kind) Route(r kind.Request) kind.Route {
	title, file, isFile := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return refuse(http.StatusMethodNotAllowed, "a shelf can only be read")
	case title == "" || isFile && (file == "" || strings.Contains(file, "/")) || strings.ContainsAny(r.Path, "%\\?#; ") || len(r.Path) > 200 || r.Path[0] != '/':
		return refuse(http.StatusNotFound, "there is no such book")
	case strings.ContainsFunc(r.Path, func(c rune) bool { return c < ' ' || c > '~' }) || title == "." || title == ".." || file == "." || file == "..":
		return refuse(http.StatusBadRequest, "this is no title")
	case slices.Contains(k.banned, title):
		return refuse(http.StatusUnavailableForLegalReasons, title+" is banned here")
	case isFile:
		return kind.Route{Class: kind.File, Endpoint: "page", Key: "page/" + title + "/" + file, Group: title, Path: "/" + title + "/" + file}
	}
	return kind.Route{Class: kind.Metadata, Endpoint: "book", Key: "book/" + title, Group: title, Path: "/" + title}
}

func refuse(status int, why string) kind.Route {
	return kind.Route{Class: kind.Refuse, Endpoint: "invalid", Reply: kind.Reply{Status: status, ContentType: "text/plain; charset=utf-8", Text: why}}
}

const format = "shelf 1"

// Prepare keeps a list, in capitals where the site is loud.
func (k Kind) Prepare(r kind.Route, from kind.Source) ([]kind.Document, error) {
	if r.Endpoint != "book" || !bytes.HasSuffix(from.Body, []byte("\n")) {
		return nil, errors.New("not a list of files")
	}
	summary := kind.NewSummary(format)
	for line := range bytes.Lines(from.Body) {
		sum, name, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if !ok || len(sum) != 64 {
			return nil, errors.New("not a list of files")
		}
		summary.Add("file", name, sum)
	}
	text := from.Body
	if k.loud {
		text = bytes.ToUpper(text)
	}
	return []kind.Document{{ContentType: "text/plain; charset=utf-8", Size: int64(len(text)), Body: document(text)}, summary.Document()}, nil
}

type document []byte

func (d document) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(d)
	return int64(n), err
}

// Lists returns the book of a page.
func (k Kind) Lists(file kind.Route) []kind.Route {
	if file.Class != kind.File {
		return nil
	}
	list := k.Route(kind.Request{Method: http.MethodGet, Path: "/" + file.Group})
	list.Variant = kind.Summary
	return []kind.Route{list}
}

// Digest finds a page in its book.
func (k Kind) Digest(file kind.Route, summary []byte) (kind.Digest, bool) {
	lines, ok := kind.Lines(summary, format)
	if !ok || file.Class != kind.File {
		return kind.Digest{}, false
	}
	text, ok := kind.Find(lines, "file/"+strings.TrimPrefix(file.Path, "/"+file.Group+"/"))
	sum, err := hex.DecodeString(string(text))
	return kind.Digest{Algorithm: "sha256", Sum: sum}, ok && err == nil
}
