// Command lines counts the lines of code that the edge is built of: without comments, imports and
// blank lines, without tests, and without packages that only tests import. It counts the module of
// the working directory, which may be an older tree; with "each" it lists each file, else packages.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(len(os.Args) > 1 && os.Args[1] == "each"); err != nil {
		fmt.Fprintln(os.Stderr, "lines:", err)
		os.Exit(1)
	}
}

func run(files bool) error {
	list := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,IgnoredGoFiles", "./edge")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return err
	}
	counts, total := map[string]int{}, 0
	for decode := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath, Dir         string
			GoFiles, IgnoredGoFiles []string // the latter for another system
		}
		if err := decode.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		name, ours := strings.CutPrefix(p.ImportPath, "pkgedge/")
		for _, file := range slices.Concat(p.GoFiles, p.IgnoredGoFiles) {
			if !ours || strings.HasSuffix(file, "_test.go") {
				continue
			}
			n, err := count(filepath.Join(p.Dir, file))
			if err != nil {
				return err
			}
			row := name
			if files {
				row += "/" + file
			}
			counts[row] += n
			total += n
		}
	}
	for _, row := range slices.Sorted(maps.Keys(counts)) {
		fmt.Printf("%6d %s\n", counts[row], row)
	}
	fmt.Printf("%6d total\n", total)
	return nil
}

// count counts the lines of a file that have a token, but for its imports.
func count(path string) (int, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, path, source, parser.ImportsOnly)
	if err != nil {
		return 0, err
	}
	lines := map[int]bool{}
	file := set.AddFile(path, set.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0)
	for {
		at, tok, text := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok == token.SEMICOLON && text == "\n" {
			continue
		}
		for i := range 1 + strings.Count(text, "\n") { // a raw string has several
			lines[file.Line(at)+i] = true
		}
	}
	for _, d := range parsed.Decls {
		if imports, ok := d.(*ast.GenDecl); ok {
			for line := set.Position(imports.Pos()).Line; line <= set.Position(imports.End()).Line; line++ {
				delete(lines, line)
			}
		}
	}
	return len(lines), nil
}
