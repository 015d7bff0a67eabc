package report

import (
	"fmt"
	"strings"

	"pkgedge/edge/fleet/figures"
)

// logText describes the log of purges in a line.
func logText(l *figures.Log) string {
	text := "not live"
	if l.Live {
		text = "live"
	}
	text += fmt.Sprintf(" at %d", l.Place)
	if l.Behind > 0 {
		text += fmt.Sprintf(", %d behind", l.Behind)
	}
	if l.ID != "" {
		text += " of log " + l.ID
	}
	if l.Server != "" {
		text += " by " + l.Server
	}
	text += fmt.Sprintf("; %d of other edges applied, %d of this one published, %d wait", l.Applied, l.Published, l.Outbox)
	if len(l.Follows) > 0 {
		text += "; follows the feed of " + strings.Join(l.Follows, ", ") + " for all"
	}
	return Printable(text)
}

// followedBy names the edge that follows a change feed for this one, "" for itself.
func followedBy(edge string) string {
	if edge == "" {
		return ""
	}
	return ", followed by edge " + Printable(edge)
}

const liveState = "live"

// EdgeState is the state of an edge in words.
func EdgeState(e figures.Edge) string {
	switch {
	case e.Away:
		return "away"
	case !e.Live:
		return "without the log"
	}
	return liveState
}

// maxEdges is how many edges the text names.
const maxEdges = 20

// edgesText lists the edges of a fleet: those in trouble, then the others.
func edgesText(all []figures.Edge) string {
	var well, ill []string
	for _, e := range all {
		if state := EdgeState(e); state != liveState {
			ill = append(ill, e.Name+" ("+state+")")
		} else {
			well = append(well, e.Name)
		}
	}
	names := append(ill, well...)
	text := fmt.Sprintf("%d: %s", len(names), strings.Join(names[:min(len(names), maxEdges)], ", "))
	if len(names) > maxEdges {
		text += ", …"
	}
	return Printable(text)
}

// purgeLog finds the problems of the log of purges.
func (t *trouble) purgeLog(l *figures.Log, edges []figures.Edge) {
	if !l.Live {
		text := fmt.Sprintf("fleet: the log of purges is not live for %s: purges of other edges may be missing, and lifetimes fall back", t.since(l.Since))
		if l.Why != "" {
			text += " (" + Printable(l.Why) + ")"
		}
		t.wrong = append(t.wrong, text)
	}
	if l.Outbox > 0 {
		t.weak = append(t.weak, fmt.Sprintf("fleet: %s of this edge not yet in the log", Count(int64(l.Outbox), "purge")))
	}
	if l.Namesakes > 60 {
		t.weak = append(t.weak, "fleet: another edge has the name of this one: give each a fleet.name of its own")
	}
	for _, e := range edges {
		if e.Away {
			t.notes = append(t.notes, fmt.Sprintf("fleet: edge %s is silent for %s", Printable(e.Name), t.since(e.Heard)))
		}
	}
}
