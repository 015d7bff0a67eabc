// Package shelf is a throw-away kind of registry. It shows that a kind is one
// folder and one line: nothing outside this folder knows it, and a test adds its
// descriptor to the list of kinds. It is also the shortest kind that has all
// there is: metadata, files with digests, keys of its own, and a policy.
//
//	/{title}           a list of files, one "sha256 name" a line; moves
//	/{title}/{file}    one of them
package shelf
