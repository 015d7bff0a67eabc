package policy

import (
	"net/http"
	"strings"
	"time"
)

// ParseDate reads an HTTP-date in any of its three forms (RFC 9110 section 5.6.7).
// It is stricter than [http.ParseTime], which accepts other zones, missing digits
// and more spaces: an invalid date in Expires means "already expired" (section
// 5.3), and must be told from a valid one. Names in another case and a wrong day of
// the week pass, as the moment is not in doubt.
//
// The two-digit year of an RFC 850 date is one within 50 years of now.
func ParseDate(s string, now time.Time) (time.Time, bool) {
	if n := len(s) - len("GMT"); n > 0 && strings.EqualFold(s[n:], "GMT") {
		s = s[:n] + "GMT"
	}
	for _, layout := range [...]string{http.TimeFormat, rfc850, time.ANSIC} {
		t, err := time.Parse(layout, s)
		if err != nil || !strings.EqualFold(afterDay(t.Format(layout)), afterDay(s)) {
			continue
		}
		if layout == rfc850 {
			for t.Year() > now.Year()+50 {
				t = t.AddDate(-100, 0, 0)
			}
			for t.Year() < now.Year()-50 {
				t = t.AddDate(100, 0, 0)
			}
		}
		return t.UTC(), true
	}
	return time.Time{}, false
}

// rfc850 is time.RFC850 in the only zone that HTTP allows.
const rfc850 = "Monday, 02-Jan-06 15:04:05 GMT"

// afterDay returns a date without the day of the week.
func afterDay(s string) string {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[i:]
	}
	return s
}
