package sample

import (
	"fmt"
	"slices"
	"sync"

	"pkgedge/origin/sample/tarball"
)

// Samples makes a store with the sample packages:
//
//	edge-sample-app       the one to install; has a command, edge-sample
//	edge-sample-greet     needs the words and the colour
//	edge-sample-words     four versions, one deprecated, one tagged next
//	@edge-sample/colour   a scoped name
//	edge-sample-payload   a tarball of some 300 kB that does not compress
//	@edge-private/notes   needs a bearer token
//
// None has an install script. Each store is its caller's own.
func Samples() (*Store, error) {
	all, err := packed()
	if err != nil {
		return nil, err
	}
	own := *all
	own.events = slices.Clip(own.events) // two stores must not append to one array
	s := NewStore()
	s.content.Store(&own)
	return s, nil
}

// packed is the content of a store with the sample packages. It is packed once, since
// content never changes and its tarballs take longer to make than to serve.
var packed = sync.OnceValues(func() (*content, error) {
	s := NewStore()
	for _, add := range []struct {
		name     string
		versions []Version
	}{
		{"edge-sample-words", words()},
		{"@edge-sample/colour", colour()},
		{"edge-sample-greet", greet()},
		{"edge-sample-payload", payload()},
		{"edge-sample-app", app()},
		{PrivateScope + "/notes", []Version{{Number: "1.0.0", Description: "Needs a token."}}},
	} {
		if err := s.AddPackage(add.name, add.versions...); err != nil {
			return nil, err
		}
	}
	return s.content.Load(), nil
})

// source is a package of one file.
func source(js string) map[string][]byte { return map[string][]byte{"index.js": []byte(js)} }

func words() []Version {
	const about = "The words of the edge's sample packages."
	// This text holds a tarball URL of the master that serves it, and once more
	// as a JSON member: it is prose, and must reach clients as it is.
	const readme = "# edge-sample-words\n\nFetch it by hand: " + home +
		"/edge-sample-words/-/edge-sample-words-1.0.0.tgz\n\n" +
		`In a packument: {"dist":{"tarball":"` + home + `/edge-sample-words/-/edge-sample-words-1.0.0.tgz"}}` + "\n"
	return []Version{
		{
			Number: "0.9.0", Description: about, Deprecated: "misses a word, use 1.0.0",
			Files: source("module.exports = ['hello'];\n"),
		},
		{Number: "1.0.0", Description: about, Files: source("module.exports = ['hello', 'world'];\n")},
		{Number: "1.1.0", Description: about, Files: source("module.exports = ['hello', 'edge'];\n")},
		{
			Number: "2.0.0-beta.1", Tags: []string{"next"}, Description: about, Readme: readme,
			Files: source("exports.words = ['hello', 'edge'];\n"),
		},
	}
}

func colour() []Version {
	const about = "Colours a line, where the terminal can."
	const js = "module.exports = (s) => process.stdout.isTTY ? `\\u001b[%dm${s}\\u001b[0m` : s;\n"
	return []Version{
		{Number: "1.0.0", Description: about, Files: source(fmt.Sprintf(js, 32))},
		{Number: "1.1.0", Description: about, Files: source(fmt.Sprintf(js, 36))},
	}
}

func greet() []Version {
	const js = "const words = require('edge-sample-words');\n" +
		"const colour = require('@edge-sample/colour');\n" +
		"module.exports = () => colour(words.join(', '));\n"
	needs := map[string]string{"edge-sample-words": "^1.0.0", "@edge-sample/colour": "^1.0.0"}
	return []Version{
		{Number: "1.0.0", Description: "Greets.", Dependencies: needs, Files: source(js)},
		{Number: "1.0.1", Description: "Greets.", Dependencies: needs, Files: source(js)},
	}
}

func payload() []Version {
	return []Version{{
		Number: "1.0.0", Description: "Some 300 kB that do not compress.",
		Files: map[string][]byte{
			"index.js": []byte("module.exports = require('path').join(__dirname, 'data.bin');\n"),
			"data.bin": tarball.Noise("edge-sample-payload", 300_000),
		},
	}}
}

func app() []Version {
	return []Version{{
		Number: "1.0.0", Description: "Install me through the edge, then run edge-sample.",
		Dependencies: map[string]string{"edge-sample-greet": "^1.0.0", "edge-sample-payload": "1.0.0"},
		Bin:          map[string]string{"edge-sample": "bin/cli.js"},
		Scripts:      map[string]string{"test": "node index.js"},
		Files: map[string][]byte{
			"index.js":   []byte("module.exports = require('edge-sample-greet');\n"),
			"bin/cli.js": []byte("#!/usr/bin/env node\nconsole.log(require('..')());\n"),
		},
	}}
}
