package policy

import (
	"net/http"
	"testing"
	"time"

	"pkgedge/cache/policy/policytest"
)

func TestParseDate(t *testing.T) {
	want := time.Date(1994, time.November, 6, 8, 49, 37, 0, time.UTC)
	for _, tt := range []struct {
		rule string
		text string
		want time.Time // zero for none
	}{
		{"RFC 9110 §5.6.7 IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", want},
		{"RFC 9110 §5.6.7 RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", want},
		{"RFC 9110 §5.6.7 asctime", "Sun Nov  6 08:49:37 1994", want},
		{"RFC 9110 §5.6.7 another zone", "Sun, 06 Nov 1994 08:49:37 CET", time.Time{}},
		{"RFC 9110 §5.6.7 a numeric zone", "Sun, 06 Nov 1994 08:49:37 +0000", time.Time{}},
		{"RFC 9110 §5.6.7 RFC 850 in another zone", "Sunday, 06-Nov-94 08:49:37 UTC", time.Time{}},
		{"RFC 9110 §5.6.7 one digit for the day", "Sun, 6 Nov 1994 08:49:37 GMT", time.Time{}},
		{"RFC 9110 §5.6.7 two digits for the year", "Sun, 06 Nov 94 08:49:37 GMT", time.Time{}},
		{"RFC 9110 §5.6.7 no seconds", "Sun, 06 Nov 1994 08:49 GMT", time.Time{}},
		{"RFC 9110 §5.6.7 more spaces", "Sun,  06 Nov 1994 08:49:37 GMT", time.Time{}},
		{"RFC 9110 §5.6.7 dashes", "Sun, 06-Nov-1994 08:49:37 GMT", time.Time{}},
		{"no such day", "Sun, 31 Feb 1994 08:49:37 GMT", time.Time{}},
		{"no such hour", "Sun, 06 Nov 1994 24:00:00 GMT", time.Time{}},
		{"a fraction", "Sun, 06 Nov 1994 08:49:37.5 GMT", time.Time{}},
		{"RFC 9111 §5.3 Expires: 0", "0", time.Time{}},
		{"RFC 9111 §5.3 Expires: -1", "-1", time.Time{}},
		{"nothing", "", time.Time{}},
		{"blanks around it", " Sun, 06 Nov 1994 08:49:37 GMT", time.Time{}},
		{"RFC 9110 §5.6.7 two digits, at most 50 years ahead", "Thursday, 06-Nov-75 08:49:37 GMT", time.Date(2075, time.November, 6, 8, 49, 37, 0, time.UTC)},
		{"RFC 9110 §5.6.7 two digits, more than 50 years ahead", "Saturday, 06-Nov-77 08:49:37 GMT", time.Date(1977, time.November, 6, 8, 49, 37, 0, time.UTC)},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			have, ok := ParseDate(tt.text, policytest.Epoch)
			if ok == tt.want.IsZero() || !have.Equal(tt.want) {
				t.Errorf("%q is %v %v, want %v", tt.text, have, ok, tt.want)
			}
		})
	}
}

// FuzzParseDate: a date written in any of the three forms is read again, as a whole
// second in UTC.
func FuzzParseDate(f *testing.F) {
	f.Add(int64(784111777), "Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add(int64(0), "0")
	f.Add(int64(3300000000), "Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add(int64(1e9), "Sun Nov  6 08:49:37 1994")
	f.Fuzz(func(t *testing.T, unix int64, s string) {
		if d, ok := ParseDate(s, policytest.Epoch); ok {
			if d.Location() != time.UTC || d.Nanosecond() != 0 {
				t.Errorf("%q is %v", s, d)
			}
			if again, ok := ParseDate(d.Format(http.TimeFormat), policytest.Epoch); !ok || !again.Equal(d) {
				t.Errorf("%q is %v, and written again %v", s, d, again)
			}
		}
		when := time.Unix(unix%(1<<37), 0).UTC()
		if when.Year() < 0 || when.Year() > 9999 {
			return
		}
		for _, layout := range []string{http.TimeFormat, time.ANSIC} {
			if d, ok := ParseDate(when.Format(layout), policytest.Epoch); !ok || !d.Equal(when) {
				t.Errorf("%q is %v %v", when.Format(layout), d, ok)
			}
		}
		if when.After(policytest.Epoch.AddDate(-49, 0, 0)) && when.Before(policytest.Epoch.AddDate(49, 0, 0)) {
			text := when.Format("Monday, 02-Jan-06 15:04:05 GMT")
			if d, ok := ParseDate(text, policytest.Epoch); !ok || !d.Equal(when) {
				t.Errorf("%q is %v %v", text, d, ok)
			}
		}
	})
}
