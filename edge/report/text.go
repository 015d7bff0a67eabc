package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"pkgedge/cache"
	"pkgedge/origin"
)

// lineWidth is the widest line of the text, in columns.
const lineWidth = 100

// Text writes the status for a person: its problems, the masters, the cache.
func (s *Status) Text() string {
	var b strings.Builder
	b.WriteString(s.headline() + "\n")
	problems := s.Problems()
	b.WriteString("\n" + Verdict(problems) + "\n")
	for _, p := range problems {
		b.WriteString(wrap(fmt.Sprintf("%4s ", p.Mark()), p.Text))
	}
	t := &trouble{now: s.At}
	for i := range s.Sites {
		s.Sites[i].text(&b, t)
	}
	s.certificates(&b)
	s.Fleet.text(&b)
	s.Cache.text(&b)
	return b.String()
}

// Verdict sums up problems in a word or a few.
func Verdict(problems []Problem) string {
	switch {
	case len(problems) == 0:
		return "all is well"
	case problems[0].Urgency == Note:
		return "all is well, but"
	}
	return "wrong"
}

// headline says whether the edge is ready, for how long it has run, and which
// configuration and version it runs.
func (s *Status) headline() string {
	words := []string{"ready"}
	if !s.Ready {
		words = []string{"NOT READY"}
	}
	if !s.Started.IsZero() {
		words = append(words, "up "+Age(s.At.Sub(s.Started)))
	}
	if s.Config.File != "" {
		words = append(words, fmt.Sprintf("configuration %s read %s ago", s.Config.File, Age(s.At.Sub(s.Config.Read))))
	}
	if s.Version != "" {
		words = append(words, "version "+s.Version)
	}
	return strings.TrimSuffix(wrap("", Printable(strings.Join(words, ", "))), "\n")
}

// certificates writes a line for each certificate.
func (s *Status) certificates(b *strings.Builder) {
	if len(s.Certificates) == 0 {
		return
	}
	b.WriteString("\ncertificates\n")
	for i := range s.Certificates {
		c := &s.Certificates[i]
		b.WriteString(wrap("  ", Printable(c.Title()+" "+c.Text(s.At))))
	}
}

func (s *Site) text(b *strings.Builder, t *trouble) {
	b.WriteString("\n" + wrap("", Printable(fmt.Sprintf("site %s, %s, at %s", s.Name, s.Kind, s.Public))))
	if line := answersLine(s.Answers); line != "" {
		b.WriteString(wrap("  ", line))
	}
	if f := s.Changes; f != nil && f.Live {
		b.WriteString(wrap("  ", fmt.Sprintf("change feed live for %s, heard %s ago, %s", t.since(f.Since), t.since(f.Heard), Count(f.Changes, "change")+followedBy(f.By))))
	}
	mastersTable(b, "masters", s.Masters, t)
	mastersTable(b, "masters for files", s.Files, t)
	for i := range s.Scopes {
		sc := &s.Scopes[i]
		mastersTable(b, "masters of "+sc.Name, sc.Masters, t)
		mastersTable(b, "masters for files of "+sc.Name, sc.Files, t)
	}
}

// answersLine says how many reads were answered from stored responses.
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
	line := fmt.Sprintf("%s since the start, %.1f %% from the store", Count(stored+waited, "read"), 100*float64(stored)/float64(stored+waited))
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

// mastersTable writes a line for each master. The URL is the last column and
// takes the width that is left.
func mastersTable(b *strings.Builder, title string, masters []origin.MasterStatus, t *trouble) {
	if len(masters) == 0 {
		return
	}
	rows := [][]string{{"N", "ROLE", "STATE", "BUSY", "FIRST BYTE", "PROBE", "URL"}}
	for i := range masters {
		m := &masters[i]
		rows = append(rows, []string{
			fmt.Sprint(m.N), Printable(m.Role), stateCell(m, t), fmt.Sprint(m.InFlight), firstByteCell(m), probeCell(m, t), Printable(m.URL),
		})
	}
	last := len(rows[0]) - 1
	widths := make([]int, last)
	left := lineWidth - len("  ")
	for i := range widths {
		for _, row := range rows {
			row[i] = Shorten(row[i], maxCells[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		left -= widths[i] + 2
	}
	fmt.Fprintf(b, "\n  %s\n", Shorten(Printable(title), lineWidth-2))
	for _, row := range rows {
		b.WriteString("  ")
		for i, width := range widths {
			fmt.Fprintf(b, "%-*s  ", width, row[i])
		}
		b.WriteString(Shorten(row[last], left) + "\n")
	}
}

// maxCells are the widest cells before the URL, in columns. They leave at least a
// quarter of the width to the URL.
var maxCells = [...]int{4, 8, 16, 6, 11, 18}

func stateCell(m *origin.MasterStatus, t *trouble) string {
	switch {
	case m.Drained, m.State == "out":
		return Printable(m.State) + " " + t.since(m.Since)
	case m.State == "recovering":
		return fmt.Sprintf("recovering %.0f %%", 100*m.Share)
	}
	return Printable(m.State)
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

func (c *Cache) text(b *strings.Builder) {
	b.WriteString("\ncache\n")
	of := func(n, limit, objects int64) string {
		text := HumanBytes(n)
		if limit > 0 {
			text += " of " + HumanBytes(limit)
		}
		return text + " in " + Count(objects, "object")
	}
	fmt.Fprintf(b, "  memory   %s\n", of(c.MemoryBytes, c.MemoryLimit, c.MemoryObjects))
	disk := of(c.DiskBytes, c.DiskLimit, c.DiskObjects) + fmt.Sprintf(", %d evicted", c.Evictions)
	if c.Corrupt > 0 {
		disk += ", " + Count(c.Corrupt, "damaged file")
	}
	fmt.Fprintf(b, "  disk     %s\n", disk)
	fmt.Fprintf(b, "  fetches  %d under way\n", c.Flights)
}

// wrap breaks text between words so that each line fits. Later lines are indented
// by the width of the mark. A word that is too long is shortened.
func wrap(mark, text string) string {
	width := lineWidth - utf8.RuneCountInString(mark)
	indent := strings.Repeat(" ", utf8.RuneCountInString(mark))
	var b strings.Builder
	b.WriteString(mark)
	used := 0
	for i, word := range strings.Fields(text) {
		word = Shorten(word, width)
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+n > width:
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

// Shorten takes the middle out of a text that is too wide. Two URLs of one host
// differ at their ends.
func Shorten(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	tail := (width - 1) / 3
	return string(runes[:width-1-tail]) + "…" + string(runes[len(runes)-tail:])
}
