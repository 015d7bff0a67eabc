// Package openfile keeps the files of stored responses open, with their fields, for the look-ups
// to come.
//
// It knows the format of a file's head and nothing of directories: its caller opens files, and
// says when a name has become another file's. A [Table] has a lock for each of its shards, held
// for a map's change alone; no file is closed under it.
package openfile
