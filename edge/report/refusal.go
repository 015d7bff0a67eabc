package report

import (
	"errors"
	"net/url"

	"github.com/go-json-experiment/json"
)

// Cause returns an error of an HTTP client without its method and URL.
func Cause(err error) error {
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// Refusal describes a response with another status than the one wanted: its status
// line, and the reason that registries and the edge give as JSON.
func Refusal(status string, body []byte) error {
	var doc struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.Error == "" {
		return errors.New(Printable(status))
	}
	return errors.New(Printable(status + ": " + doc.Error))
}
