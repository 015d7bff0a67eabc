package config

import (
	"net/url"

	"pkgedge/edge/config/node"
	"pkgedge/edge/config/value"
	"pkgedge/origin/feed"
)

// Changes says how a site learns of new versions.
type Changes struct {
	URL    *url.URL  // of the database whose _changes are followed; nil for no feed
	Mode   feed.Mode // feed.Couch or feed.Poll
	Secret string    // signs the notifications posted to /hooks/{site}; "" for no hook. A secret
}

func (d *decoder) changes(v node.Value, s *Site) {
	v.Object(node.Fields{
		"url": node.Into(&s.Changes.URL, func(text string) (*url.URL, error) {
			if text == "" {
				return nil, nil
			}
			return value.ParseBase(text)
		}),
		"mode":   node.Word(&s.Changes.Mode, feed.Couch, feed.Poll),
		"secret": node.Secret(&s.Changes.Secret, value.AsWritten),
	})
}

// checkChanges compares changes with the other keys of a site.
func (d *decoder) checkChanges(v node.Value, s *Site) {
	if v.IsMapping() && s.Kind.ChangePath == nil && s.Changes != (Changes{Mode: feed.Couch}) {
		d.Bad(v.Path+".changes", "names packages, which a %s site has none of: remove the key", s.Kind.Name)
	}
}

// String describes the changes of a site.
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
