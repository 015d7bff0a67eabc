package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"pkgedge/origin/kinds"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Outside the folder of a kind no code compares its name: all that depends on a
// kind is in its descriptor.
func TestNameOfAKindIsForbiddenOutsideIt(t *testing.T) {
	var names []string
	for _, d := range kinds.All() {
		names = append(names, d.Name)
	}
	files := token.NewFileSet()
	read := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if below, ok := strings.CutPrefix(filepath.ToSlash(path), "../origin/"); ok && slices.Contains(names, below) || entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		read++
		for _, at := range comparisons(file, names) {
			t.Errorf("%s compares the name of a kind: ask its kind.Descriptor", files.Position(at))
		}
		return nil
	})
	if err != nil || read == 0 {
		t.Fatalf("%d files read: %v", read, err)
	}
}

// comparisons finds where one of names, or a constant that is one, is compared.
func comparisons(file *ast.File, names []string) (found []token.Pos) {
	is := func(e ast.Expr) bool {
		literal, ok := e.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return false
		}
		text, err := strconv.Unquote(literal.Value)
		return err == nil && slices.Contains(names, text)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && (is(n.X) || is(n.Y)) {
				found = append(found, n.Pos())
			}
		case *ast.CaseClause:
			if slices.ContainsFunc(n.List, is) {
				found = append(found, n.Pos())
			}
		case *ast.ValueSpec: // a constant like KindNPM is there to be compared
			for i, name := range n.Names {
				if i < len(n.Values) && is(n.Values[i]) && strings.HasPrefix(strings.ToLower(name.Name), "kind") {
					found = append(found, n.Pos())
				}
			}
		}
		return true
	})
	return found
}

func TestForbiddenComparisonsAreFound(t *testing.T) {
	for source, want := range map[string]int{
		`func f(s string) bool { return s == "npm" }`:                   1,
		`func f(s string) bool { return "npm" != s }`:                   1,
		`func f(s string) { switch s { case "x", "npm": } }`:            1,
		`const KindNPM = "npm"`:                                         1,
		`const form = "npm"`:                                            0,
		`func f(s string) bool { return s == "pnpm" || s == f("npm") }`: 0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(comparisons(file, []string{"npm"})); got != want {
			t.Errorf("%s: %d found; want %d", source, got, want)
		}
	}
}
