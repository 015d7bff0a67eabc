// Package dist knows release trees with lists of digests, such as Node's: which
// of their paths move and which never change, how a list must look, and which
// digest a file must have. It implements [kind.Kind] and is pure: no clock, no
// network, no disk. It knows nothing of masters and of stored responses.
//
//	index.json, index.tab            every release; moves
//	latest/…, latest-v20.x/…         the newest of a line; moves
//	v20.1.0/SHASUMS256.txt           the digests of a release (SHASUMS.txt, SHA-1,
//	                                 in old ones), with .asc, .sig and .gpg beside it
//	v20.1.0/…                        its files, which never change
//	…/                               listings for people; move
//
// A path that moves has the lifetime of metadata, also where it is a file; the list
// of a release settles. A list is read whole and must be complete: one that is empty,
// cut or shorter than the one before does not replace that, for releases are
// added and not taken away. It is kept in one with its signatures, fetched from
// one master. A new index names the lists of the releases it adds, and the files
// it adds to any, to be held back until they answer.
package dist
