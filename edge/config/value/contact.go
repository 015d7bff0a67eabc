package value

import (
	"errors"
	"net/mail"
	"net/url"
	"strings"
)

// ParseContact reads a mail address, or a URL of the schemes that a person's browser or phone
// opens, and returns a URL.
func ParseContact(text string) (string, error) {
	const want = "write a mail address, an https:// URL, or a number as in tel:+49-30-1234"
	if text == "" {
		return "", nil
	}
	if len(text) > 200 {
		return "", errors.New("is longer than 200 bytes: " + want)
	}
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "http", "https":
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || strings.ContainsAny(text, " \t\r\n") {
			return "", errors.New("is not a URL: " + want)
		}
		if u.User != nil {
			return "", errors.New("holds a user name or password: remove the part before the @")
		}
		return u.String(), nil
	case "tel":
		if strings.Trim(rest, "+0123456789-.()") != "" || !strings.ContainsAny(rest, "0123456789") {
			return "", errors.New("is not a telephone number: write digits, as in tel:+49-30-1234")
		}
		return text, nil
	case "mailto":
		text = rest
	}
	if address, err := mail.ParseAddress(text); err != nil || address.Address != text {
		return "", errors.New("is neither a mail address nor a URL: " + want)
	}
	return "mailto:" + text, nil
}
