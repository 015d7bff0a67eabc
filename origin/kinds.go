package origin

import (
	"fmt"

	"pkgedge/origin/dist"
	"pkgedge/origin/files"
	"pkgedge/origin/kind"
	"pkgedge/origin/npm"
)

// newKind returns the kind of registry that a site is. This is the one place
// that lists kinds.
func newKind(cfg Config) (kind.Kind, error) {
	switch cfg.Kind {
	case "npm":
		k := npm.New(cfg.PublicBase).With(npm.Policy{Deny: cfg.Deny, MinimumAge: cfg.MinimumAge})
		if cfg.Time {
			k = k.WithTime()
		}
		return k, nil
	case "dist":
		return dist.New(), nil
	case "files":
		return files.New(), nil
	}
	return nil, fmt.Errorf("no such kind of site: %q", cfg.Kind)
}

// CheckDeny says what is wrong with an entry of Config.Deny.
func CheckDeny(entry string) error {
	_, _, err := npm.ParseDeny(entry)
	return err
}

// pingOf is the path by which a kind of registry says that it is well, "" where
// there is none.
func pingOf(kind string) string {
	if kind == "npm" {
		return "/-/ping"
	}
	return ""
}
