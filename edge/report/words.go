package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// maxLine is the longest text from a foreign server that is printed, in bytes.
const maxLine = 600

// Printable makes a text from a foreign server safe to print in a line.
func Printable(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// HumanBytes writes a byte count for a person, to a tenth of its unit.
func HumanBytes(n int64) string {
	value := float64(n)
	for i, unit := range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 || unit == "TiB" {
			if i == 0 {
				return fmt.Sprintf("%d B", n)
			}
			return fmt.Sprintf("%.1f %s", value, unit)
		}
		value /= 1024
	}
	return ""
}

// Count writes a number and its noun.
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Age writes a duration for a person, in at most two units.
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(0, d.Round(time.Second))
	units := func(large, small time.Duration, l, s string) string {
		if rest := d % large / small; rest > 0 {
			return fmt.Sprintf("%d%s %d%s", d/large, l, rest, s)
		}
		return fmt.Sprintf("%d%s", d/large, l)
	}
	switch {
	case d >= day:
		return units(day, time.Hour, "d", "h")
	case d >= time.Hour:
		return units(time.Hour, time.Minute, "h", "m")
	case d >= time.Minute:
		return units(time.Minute, time.Second, "m", "s")
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
