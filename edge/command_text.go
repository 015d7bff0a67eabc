package main

import (
	"fmt"
	"strings"
	"unicode"
)

// maxLine is what is printed of a text from elsewhere, in bytes.
const maxLine = 600

// printable makes a text from elsewhere safe to print in a line.
func printable(s string) string {
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

// humanBytes writes n for a person, to a tenth.
func humanBytes(n int64) string {
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
