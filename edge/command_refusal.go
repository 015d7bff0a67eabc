package main

import (
	"errors"
	"net/url"

	"github.com/go-json-experiment/json"

	"pkgedge/edge/report"
)

// cause takes the request's line off an HTTP client's error.
func cause(err error) error {
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// refusal puts an answer that is not the one wanted in words: its status, and
// the reason that registries and the edge give as JSON.
func refusal(status string, body []byte) error {
	var doc struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.Error == "" {
		return errors.New(report.Printable(status))
	}
	return errors.New(report.Printable(status + ": " + doc.Error))
}
