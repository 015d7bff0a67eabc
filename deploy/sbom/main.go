// Command sbom prints the bill of materials of Go binaries as one SPDX 2.3 document: the
// modules that the linker has put into them, with their versions and sums.
//
//	go run ./deploy/sbom dist/edge-linux-amd64 > dist/edge.spdx.json
//
// The document of the same binaries is the same: its time is SOURCE_DATE_EPOCH.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	epoch, _ := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64) // without one it is 1970
	if err := write(os.Stdout, time.Unix(epoch, 0).UTC(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

type document struct {
	Version       string         `json:"spdxVersion"`
	License       string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []material     `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type material struct {
	Name      string     `json:"name"`
	ID        string     `json:"SPDXID"`
	Version   string     `json:"versionInfo,omitempty"`
	Location  string     `json:"downloadLocation"`
	Analyzed  bool       `json:"filesAnalyzed"`
	Checksums []checksum `json:"checksums,omitempty"`
	Refs      []ref      `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type ref struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

// write writes the document of the binaries.
func write(w io.Writer, at time.Time, binaries []string) error {
	d := document{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: "edge",
		Creation: creation{Created: at.Format(time.RFC3339), Creators: []string{"Tool: pkgedge/deploy/sbom"}},
	}
	modules, all := make(map[string]material), sha256.New()
	for _, path := range binaries {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot read the modules of %s: %w", path, err)
		}
		sum := sha256.Sum256(text)
		all.Write(sum[:])
		b := material{Name: filepath.Base(path), Location: "NOASSERTION", Checksums: []checksum{{"SHA256", hex.EncodeToString(sum[:])}}}
		b.ID = id("binary", b.Name)
		d.Packages = append(d.Packages, b)
		d.Relationships = append(d.Relationships, relationship{d.ID, "DESCRIBES", b.ID})
		used := []*debug.Module{{Path: "std", Version: info.GoVersion}}
		for _, m := range append(used, info.Deps...) {
			if m.Replace != nil {
				m = m.Replace
			}
			p := moduleOf(m)
			modules[p.ID] = p
			d.Relationships = append(d.Relationships, relationship{b.ID, "CONTAINS", p.ID})
		}
	}
	for _, p := range modules {
		d.Packages = append(d.Packages, p)
	}
	slices.SortFunc(d.Packages, func(a, b material) int { return strings.Compare(a.ID, b.ID) })
	d.Namespace = "https://localhost.invalid/edge/" + hex.EncodeToString(all.Sum(nil))
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(d)
}

// moduleOf describes a module. The sum of go.sum is a SHA-256 of the list of its files.
func moduleOf(m *debug.Module) material {
	p := material{Name: m.Path, Version: m.Version, Location: "NOASSERTION", ID: id("module", m.Path+"-"+m.Version)}
	p.Refs = []ref{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + m.Path + "@" + m.Version}}
	if sum, ok := strings.CutPrefix(m.Sum, "h1:"); ok {
		if raw, err := base64.StdEncoding.DecodeString(sum); err == nil {
			p.Checksums = []checksum{{"SHA256", hex.EncodeToString(raw)}}
		}
	}
	return p
}

var odd = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

func id(sort, name string) string { return "SPDXRef-" + sort + "-" + odd.ReplaceAllString(name, "-") }
