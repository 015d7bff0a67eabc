package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"pkgedge/cache"
	"pkgedge/origin"
)

// statusWidth is the columns of a terminal that the report fits.
const statusWidth = 100

// report puts the status in words: what is wrong, the masters, the cache.
func (s *statusDoc) report() string {
	var b strings.Builder
	b.WriteString(s.headline() + "\n")
	t := s.trouble()
	switch {
	case len(t.wrong)+len(t.weak) > 0:
		b.WriteString("\nwrong\n")
	case len(t.notes) > 0:
		b.WriteString("\nall is well, but\n")
	default:
		b.WriteString("\nall is well\n")
	}
	for mark, lines := range [][]string{t.wrong, t.weak, t.notes} {
		for _, line := range lines {
			b.WriteString(wrap([]string{"  !! ", "   ! ", "   - "}[mark], printable(line)))
		}
	}
	for i := range s.Sites {
		s.Sites[i].report(&b, t)
	}
	s.Cache.report(&b)
	return b.String()
}

// headline is whether, what, and since when.
func (s *statusDoc) headline() string {
	words := []string{"ready"}
	if !s.Ready {
		words = []string{"NOT READY"}
	}
	if !s.Started.IsZero() {
		words = append(words, "up "+age(s.At.Sub(s.Started)))
	}
	if s.Config.File != "" {
		words = append(words, fmt.Sprintf("configuration %s read %s ago", s.Config.File, age(s.At.Sub(s.Config.Read))))
	}
	if s.Version != "" {
		words = append(words, "version "+s.Version)
	}
	return strings.TrimSuffix(wrap("", printable(strings.Join(words, ", "))), "\n")
}

func (s *siteStatus) report(b *strings.Builder, t *trouble) {
	b.WriteString("\n" + wrap("", printable(fmt.Sprintf("site %s, %s, at %s", s.Name, s.Kind, s.Public))))
	if line := answersLine(s.Answers); line != "" {
		b.WriteString(wrap("  ", line))
	}
	if f := s.Changes; f != nil && f.Live {
		b.WriteString(wrap("  ", fmt.Sprintf("change feed live for %s, heard %s ago, %s", t.since(f.Since), t.since(f.Heard), count(f.Changes, "change"))))
	}
	mastersTable(b, "masters", s.Masters, t)
	mastersTable(b, "masters for files", s.Files, t)
	for i := range s.Scopes {
		sc := &s.Scopes[i]
		mastersTable(b, "masters of "+sc.Name, sc.Masters, t)
		mastersTable(b, "masters for files of "+sc.Name, sc.Files, t)
	}
}

// answersLine says how often clients were answered from the store.
func answersLine(answers map[string]int64) string {
	sum := func(outcomes ...cache.Outcome) (n int64) {
		for _, o := range outcomes {
			n += answers[o.String()]
		}
		return n
	}
	stored := sum(cache.Hit, cache.HitStale, cache.HitError)
	waited := sum(cache.Missed, cache.Collapsed, cache.Revalidated, cache.Failed)
	if stored+waited == 0 {
		return ""
	}
	line := fmt.Sprintf("%s since the start, %.1f %% from the store", count(stored+waited, "read"), 100*float64(stored)/float64(stored+waited))
	for _, o := range []struct {
		outcome cache.Outcome
		words   string
	}{{cache.HitError, "stale because no master answered"}, {cache.Failed, "failed"}, {cache.Limited, "over a limit"}} {
		if n := sum(o.outcome); n > 0 {
			line += fmt.Sprintf(", %d %s", n, o.words)
		}
	}
	return line
}

// mastersTable is a line for each master; the URL is last and takes what room
// is left.
func mastersTable(b *strings.Builder, title string, masters []origin.MasterStatus, t *trouble) {
	if len(masters) == 0 {
		return
	}
	rows := [][]string{{"N", "ROLE", "STATE", "BUSY", "FIRST BYTE", "PROBE", "URL"}}
	for i := range masters {
		m := &masters[i]
		rows = append(rows, []string{
			fmt.Sprint(m.N), printable(m.Role), stateCell(m, t), fmt.Sprint(m.InFlight), firstByteCell(m), probeCell(m, t), printable(m.URL),
		})
	}
	last := len(rows[0]) - 1
	widths := make([]int, last)
	room := statusWidth - len("  ")
	for i := range widths {
		for _, row := range rows {
			row[i] = shorten(row[i], maxCells[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		room -= widths[i] + 2
	}
	fmt.Fprintf(b, "\n  %s\n", shorten(printable(title), statusWidth-2))
	for _, row := range rows {
		b.WriteString("  ")
		for i, width := range widths {
			fmt.Fprintf(b, "%-*s  ", width, row[i])
		}
		b.WriteString(shorten(row[last], room) + "\n")
	}
}

// maxCells are the widest cells before the URL, which leave a quarter of the width
// to that, whatever an edge says.
var maxCells = [...]int{4, 8, 16, 6, 11, 18}

func stateCell(m *origin.MasterStatus, t *trouble) string {
	switch {
	case m.Drained, m.State == "out":
		return printable(m.State) + " " + t.since(m.Since)
	case m.State == "recovering":
		return fmt.Sprintf("recovering %.0f %%", 100*m.Share)
	}
	return printable(m.State)
}

func firstByteCell(m *origin.MasterStatus) string {
	switch {
	case m.LatencyMS == 0:
		return "-"
	case m.LatencyMS < 10:
		return fmt.Sprintf("%.1f ms", m.LatencyMS)
	}
	return fmt.Sprintf("%.0f ms", m.LatencyMS)
}

func probeCell(m *origin.MasterStatus, t *trouble) string {
	p := m.Probe
	switch {
	case p == nil:
		return "none"
	case p.Stalled:
		return "STALLED"
	case p.At.IsZero():
		return "not yet"
	case p.Result == "ok":
		return "ok " + t.since(p.At) + " ago"
	}
	return "failed " + t.since(p.At) + " ago"
}

func (c *storeStatus) report(b *strings.Builder) {
	b.WriteString("\ncache\n")
	of := func(n, limit, objects int64) string {
		text := humanBytes(n)
		if limit > 0 {
			text += " of " + humanBytes(limit)
		}
		return text + " in " + count(objects, "object")
	}
	fmt.Fprintf(b, "  memory   %s\n", of(c.MemoryBytes, c.MemoryLimit, c.MemoryObjects))
	disk := of(c.DiskBytes, c.DiskLimit, c.DiskObjects) + fmt.Sprintf(", %d evicted", c.Evictions)
	if c.Spoiled > 0 {
		disk += ", " + count(c.Spoiled, "damaged file")
	}
	fmt.Fprintf(b, "  disk     %s\n", disk)
	fmt.Fprintf(b, "  fetches  %d under way\n", c.Flights)
}

// wrap breaks text between words, so that a line fits, and indents what follows
// as far as the first line's mark is wide. A word that is too long is shortened.
func wrap(mark, text string) string {
	room := statusWidth - utf8.RuneCountInString(mark)
	indent := strings.Repeat(" ", utf8.RuneCountInString(mark))
	var b strings.Builder
	b.WriteString(mark)
	used := 0
	for i, word := range strings.Fields(text) {
		word = shorten(word, room)
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+n > room:
			b.WriteString("\n" + indent)
			used = 0
		default:
			b.WriteString(" ")
			used++
		}
		b.WriteString(word)
		used += n
	}
	b.WriteString("\n")
	return b.String()
}

// shorten takes the middle out of a text that is too wide: the host of a URL is
// at its beginning, and what tells it from others often at its end.
func shorten(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	tail := (width - 1) / 3
	return string(runes[:width-1-tail]) + "…" + string(runes[len(runes)-tail:])
}
