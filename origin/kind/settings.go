package kind

import (
	"slices"
	"time"
)

// Key is a key of a site's configuration that one kind understands.
type Key struct {
	// Name of the key: "deny". With a dot it lies in a mapping: "abbreviated.time".
	Name string

	Type KeyType

	// Check returns an error for a bad Text, or for a bad entry of a List. It may be
	// nil.
	Check func(text string) error

	// Foreign tells the operator of a site of another kind why it cannot have the
	// key. It has a %s for the name of that kind.
	Foreign string

	// Show returns a label of nine letters at most, and the text that "edge check"
	// prints behind it. It may be nil.
	Show func(values []string) (label, text string)
}

// KeyType is the form of a key's value.
type KeyType uint8

// The forms of a value.
const (
	Text     KeyType = iota
	List             // of texts
	Flag             // true or false
	Duration         // zero or more
)

// Settings are the values of a kind's keys, by their names. A key that was not
// given, or that is false or zero, is not there.
type Settings map[string][]string

// Text returns the value of a Text key, "" for none.
func (s Settings) Text(name string) string {
	if v := s[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// List returns the value of a List key.
func (s Settings) List(name string) []string { return slices.Clone(s[name]) }

// Flag returns the value of a Flag key.
func (s Settings) Flag(name string) bool { return s.Text(name) == "true" }

// Duration returns the value of a Duration key, 0 for none.
func (s Settings) Duration(name string) time.Duration {
	d, _ := time.ParseDuration(s.Text(name)) // it was written by Duration.String
	return d
}
