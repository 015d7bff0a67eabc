package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// usualConfig is the file that is used when none is named, if it is there.
const usualConfig = "config.yaml"

// source is where a configuration comes from: a file, and what the command line
// says in place of it. It is asked again at each reload.
type source struct {
	path    string // "" for the built-in one, until there is a config.yaml
	listen  string
	masters []string
	env     func(string) (string, bool)
}

// find settles which file it is. Once there was one, nothing else will do: a
// file that is gone is a mistake, and not a wish for the built-in configuration.
func (s *source) find() {
	if s.path != "" {
		return
	}
	if _, err := os.Stat(usualConfig); !errors.Is(err, fs.ErrNotExist) {
		s.path = usualConfig
	}
}

// name is the file in words.
func (s *source) name() string { return cmp.Or(s.path, "built in") }

// load reads and checks the configuration for the first time.
func (s *source) load() (*Config, error) {
	s.find()
	cfg, err := Load(s.path, s.env)
	if err == nil {
		err = s.override(cfg)
	}
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// again reads it for an edge that runs, and returns the lines of its keys too.
// The cache's directory is that edge's own, and what the files of a certificate
// hold is found out when they are put to use.
func (s *source) again() (*Config, map[string]int, error) {
	s.find()
	d := &decoder{file: s.path, env: s.env}
	cfg := d.read()
	if len(d.mistakes) > 0 {
		return nil, nil, d.sorted()
	}
	if err := s.override(cfg); err != nil {
		return nil, nil, err
	}
	return cfg, d.lines, nil
}

// override applies the command line.
func (s *source) override(cfg *Config) error {
	if s.listen != "" {
		if err := cfg.SetListen(s.listen); err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
	}
	if len(s.masters) > 0 {
		if err := cfg.SetMasters(s.masters); err != nil {
			return fmt.Errorf("--master: %w", err)
		}
	}
	return nil
}

// mistake is one about a key of the file.
func (s *source) mistake(lines map[string]int, key, text string) string {
	return Mistake{File: s.name(), Line: lines[key], Key: key, Text: text}.String()
}
