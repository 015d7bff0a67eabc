package config

import (
	"net/url"

	"go.yaml.in/yaml/v4"

	"pkgedge/origin/feed"
)

// Changes says how a site hears of what was published.
type Changes struct {
	URL    *url.URL  // of the database whose _changes are followed; nil for no feed
	Mode   feed.Mode // feed.Couch or feed.Poll
	Secret string    // signs what is posted to /hooks/{site}; "" for no hook. A secret
}

func (v value) changes(s *Site) {
	v.object(fields{
		"url": into(&s.Changes.URL, func(text string) (*url.URL, error) {
			if text == "" {
				return nil, nil
			}
			return ParseBase(text)
		}),
		"mode": func(v value) {
			if word, ok := v.oneOf(string(feed.Couch), string(feed.Poll)); ok {
				s.Changes.Mode = feed.Mode(word)
			}
		},
		"secret": func(v value) {
			if text, ok := v.secret(); ok {
				s.Changes.Secret = text
			}
		},
	})
}

// checkChanges checks what changes and the other keys of a site say together.
func (v value) checkChanges(s *Site) {
	if v.node.Kind == yaml.MappingNode && s.Kind.ChangePath == nil && s.Changes != (Changes{Mode: feed.Couch}) {
		v.d.bad(v.path+".changes", "names packages, which a %s site has none of: remove the key", s.Kind.Name)
	}
}

// String is one line about a site's changes.
func (c Changes) String() string {
	line := "no feed"
	if c.URL != nil {
		line = string(c.Mode) + " " + c.URL.String()
	}
	if c.Secret != "" {
		line += ", and a hook"
	}
	return line
}
