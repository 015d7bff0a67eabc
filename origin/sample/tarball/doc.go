// Package tarball packs the files of a package as a registry carries them, and gives
// the digests that stand in a packument. The same files always give the same bytes.
// It knows nothing of packages and registries.
package tarball
