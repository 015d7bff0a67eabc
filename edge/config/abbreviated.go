package config

import "go.yaml.in/yaml/v4"

// Abbreviated says what an npm site puts into the abbreviated form of a packument
// beyond what belongs there.
type Abbreviated struct {
	Time bool // when each version was published
}

func (v value) abbreviated(s *Site) {
	v.object(fields{
		"time": func(v value) {
			if set, ok := v.flag(); ok {
				s.Abbreviated.Time = set
			}
		},
	})
}

// checkAbbreviated runs when the whole site has been read.
func (v value) checkAbbreviated(s *Site) {
	if v.node.Kind == yaml.MappingNode && s.Abbreviated.Time && s.Kind != KindNPM {
		v.d.bad(v.path+".abbreviated", "is about npm's packuments, which a %s site has none of: remove the key", s.Kind)
	}
}
