package cache

import (
	"net/http"
	"time"
)

// ParseDate reads an HTTP-date (RFC 9110 section 5.6.7) in any of its three
// forms. It is stricter than [http.ParseTime], which accepts other zones,
// one-digit days and names in any case: a date that is not exactly right is no
// date, because in Expires that means "already expired" (RFC 9111 section 5.3).
//
// An RFC 850 date's two-digit year is read as the year within 50 years of now.
func ParseDate(s string, now time.Time) (time.Time, bool) {
	for _, layout := range [...]string{http.TimeFormat, time.RFC850, time.ANSIC} {
		t, err := time.ParseInLocation(layout, s, time.UTC)
		if err != nil || t.Format(layout) != s {
			continue
		}
		if layout == time.RFC850 {
			if zone := s[len(s)-3:]; zone != "GMT" {
				continue
			}
			for t.Year() > now.Year()+50 {
				t = t.AddDate(-100, 0, 0)
			}
		}
		return t.UTC(), true
	}
	return time.Time{}, false
}
