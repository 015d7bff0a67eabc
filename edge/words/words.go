package words

import (
	"errors"
	"strings"

	"pkgedge/origin"
)

// About is the request that failed.
type About struct {
	Transparent bool   // its site is, whose master is an origin and no registry
	Primary     bool   // the primary alone may answer it
	Stored      bool   // its answer might have been stored here
	Write       string // the endpoint of a write; "" for a read
}

// Failure says in words for a person which masters failed a request, and how. It names no master: a
// client learns its role at most.
func Failure(a About, err error) string {
	registry := "the registry"
	if a.Transparent {
		registry = "the origin"
	}
	text := registry + " gave no usable answer"
	if own := (*origin.Blame)(nil); errors.As(err, &own) {
		text = registry + " " + origin.Deed(err)
	}
	down := (*origin.Unavailable)(nil)
	if errors.As(err, &down) {
		text = tried(registry, a.Primary, down)
	}
	if a.Stored {
		return text + ", and no copy is stored here"
	}
	if a.Write == "" {
		return text
	}
	write := action(a.Write)
	if down != nil && down.Sent {
		return text + ": the " + write + " may have taken effect, so look before you repeat it"
	}
	return text + ": the " + write + " was not sent"
}

// action is the word for a request that changes something.
func action(endpoint string) string {
	switch endpoint {
	case "publish", "unpublish", "update", "login", "logout":
		return endpoint
	}
	return "change"
}

// tried says of each master that was asked how it failed: the last time, and once for
// masters of one role that failed in one way.
func tried(registry string, primary bool, down *origin.Unavailable) string {
	var trials []*origin.Trial
	deeds := map[string]bool{}
	for _, err := range down.Tried {
		if t := (*origin.Trial)(nil); errors.As(err, &t) {
			trials = append(trials, t)
			deeds[t.Deed()] = true
		}
	}
	switch {
	case len(trials) == 0:
		return registry + " gave no usable answer"
	case primary:
		return registry + "'s primary " + trials[0].Deed()
	case len(trials) == 1:
		return registry + " " + trials[0].Deed()
	case len(deeds) == 1:
		return "every server of " + registry + " that was asked " + trials[0].Deed()
	}
	var parts []string
	told := map[string]bool{}
	for _, t := range trials {
		part := t.Role + " " + t.Deed()
		if !told[part] {
			told[part] = true
			parts = append(parts, part)
		}
	}
	return registry + "'s " + strings.Join(parts, ", its ")
}
