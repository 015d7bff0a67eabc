package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"pkgedge/origin/kind"
)

// usualConfig is the file that is used when none is named, if it is there.
const usualConfig = "config.yaml"

// Source is where a configuration comes from: a file, and what the command line
// says in place of it. It is asked again at each reload.
type Source struct {
	Path    string // "" for the built-in one, until there is a config.yaml
	Listen  string
	Masters []string
	Kinds   []kind.Descriptor // that a site can be of
	Env     func(string) (string, bool)
}

// find settles which file it is. Once there was one, nothing else will do: a
// file that is gone is a problem, and not a wish for the built-in configuration.
func (s *Source) find() {
	if s.Path != "" {
		return
	}
	if _, err := os.Stat(usualConfig); !errors.Is(err, fs.ErrNotExist) {
		s.Path = usualConfig
	}
}

// Name is the file in words.
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

// Reload reads it for an edge that runs, and returns the lines of its keys too.
// The cache's directory is that edge's own, and what the files of a certificate
// hold is found out when they are put to use.
func (s *Source) Reload() (*Config, map[string]int, error) {
	s.find()
	d := &decoder{file: s.Path, kinds: s.Kinds, env: s.Env}
	cfg := d.read()
	if len(d.problems) > 0 {
		return nil, nil, d.sorted()
	}
	if err := s.override(cfg); err != nil {
		return nil, nil, err
	}
	return cfg, d.lines, nil
}

// override applies the command line.
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

// Problem is one about a key of the file.
func (s *Source) Problem(lines map[string]int, key, text string) string {
	return Problem{File: s.Name(), Line: lines[key], Key: key, Text: text}.String()
}
