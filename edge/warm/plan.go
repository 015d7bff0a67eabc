package warm

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"pkgedge/edge/lockfile"
)

// Plan lists the packages and versions that some lockfiles name, each once.
type Plan struct {
	packages []wantedPackage // by name
	tarballs int
	skipped  int      // entries that no registry serves
	notes    []string // lines for the summary
}

// wantedPackage is a package of a plan.
type wantedPackage struct {
	name     string
	versions []wantedVersion
}

// wantedVersion is a version of a package, and so a tarball.
type wantedVersion struct {
	version string
	file    string // as a lockfile records it, or ""
	checks  []digestCheck
}

// ReadPlan reads lockfiles. Its error names every lockfile that cannot be read.
func ReadPlan(paths []string) (*Plan, error) {
	plan := &Plan{}
	known := map[string]map[string]*wantedVersion{}
	var errs []error
	for _, path := range paths {
		l, err := readLockfile(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		plan.skipped += l.Skipped
		if l.Form == lockfile.Berry {
			plan.notes = append(plan.notes, path+": Yarn Berry's checksums are of its own zip files and cannot be compared: the packuments' digests are used")
		}
		for _, p := range l.Packages {
			if known[p.Name] == nil {
				known[p.Name] = map[string]*wantedVersion{}
			}
			v := known[p.Name][p.Version]
			if v == nil {
				v = &wantedVersion{version: p.Version}
				known[p.Name][p.Version] = v
			}
			v.file = cmp.Or(v.file, p.File)
			if digests := strongestDigests(p.Integrity); digests != nil {
				v.checks = append(v.checks, digestCheck{from: path, oneOf: digests})
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for name, versions := range known {
		p := wantedPackage{name: name}
		for _, v := range versions {
			p.versions = append(p.versions, *v)
		}
		slices.SortFunc(p.versions, func(a, b wantedVersion) int { return cmp.Compare(a.version, b.version) })
		plan.packages = append(plan.packages, p)
		plan.tarballs += len(p.versions)
	}
	slices.SortFunc(plan.packages, func(a, b wantedPackage) int { return cmp.Compare(a.name, b.name) })
	return plan, nil
}

func readLockfile(path string) (*lockfile.Lockfile, error) {
	f, err := os.Open(path)
	if err != nil {
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("cannot open it: %w", err)
	}
	defer f.Close()
	l, err := lockfile.Read(f)
	if err != nil {
		return nil, fmt.Errorf("cannot read it: %w", err)
	}
	return l, nil
}
