package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"pkgedge/edge/config/node"
	"pkgedge/origin/kind"
)

// usualConfig is the file that is read when none is named, if it exists.
const usualConfig = "config.yaml"

// Source is the origin of a configuration: a file, and the flags of the command
// line that override it. Each reload reads it again.
type Source struct {
	Path    string // "" for the built-in one, until there is a config.yaml
	Listen  string
	Masters []string
	Kinds   []kind.Descriptor // that a site can be of
	Env     func(string) (string, bool)
}

// find chooses the file. A file that was found once is required from then on: when
// it is gone, that is a problem, and no wish for the built-in configuration.
func (s *Source) find() {
	if s.Path != "" {
		return
	}
	if _, err := os.Stat(usualConfig); !errors.Is(err, fs.ErrNotExist) {
		s.Path = usualConfig
	}
}

// Name returns the path of the file, or "built in".
func (s *Source) Name() string { return cmp.Or(s.Path, "built in") }

// Load reads and checks the configuration for the first time.
func (s *Source) Load() (*Config, error) {
	s.find()
	cfg, err := Load(s.Path, s.Kinds, s.Env)
	if err == nil {
		err = s.override(cfg)
	}
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// Reload reads the configuration for an edge that runs, and returns the lines of
// its keys too. It does not try the cache directory, which that edge has open, nor
// the files of a certificate, which are checked when they are loaded.
func (s *Source) Reload() (*Config, map[string]int, error) {
	s.find()
	d := newDecoder(s.Path, s.Kinds, s.Env)
	cfg := d.read()
	if d.Count() > 0 {
		return nil, nil, d.Problems()
	}
	if err := s.override(cfg); err != nil {
		return nil, nil, err
	}
	return cfg, d.Lines(), nil
}

// override applies the flags of the command line.
func (s *Source) override(cfg *Config) error {
	if s.Listen != "" {
		if err := cfg.SetListen(s.Listen); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
	}
	if len(s.Masters) > 0 {
		if err := cfg.SetMasters(sampleKind(s.Kinds), s.Masters); err != nil {
			return fmt.Errorf("--master: %w", err)
		}
	}
	return nil
}

// Problem words a problem in a key of the file.
func (s *Source) Problem(lines map[string]int, key, text string) string {
	return node.Problem{File: s.Name(), Line: lines[key], Key: key, Text: text}.String()
}
