// Package lockfile reads the lockfiles of package clients: the packages and versions
// of a registry that an install will fetch, and the digests of their tarballs. It is
// pure: bytes in, values out.
//
// # Forms
//
// The form is recognised by content, never by file name:
//
//   - npm: package-lock.json and npm-shrinkwrap.json with lockfileVersion 1, 2
//     or 3, and node_modules/.package-lock.json;
//   - pnpm: pnpm-lock.yaml of the versions 5.0 to 9.0, of one document or, as
//     pnpm 11 and later write it, of several;
//   - Yarn 1: yarn.lock;
//   - Yarn Berry: yarn.lock with __metadata. Its checksums are of the zip files
//     Yarn makes itself, not of tarballs, and are not read;
//   - Bun: bun.lock, the text. The binary bun.lockb is refused.
//
// # Packages
//
// A package is an entry that a registry serves. Workspaces, links, folders, Git repositories,
// runtimes, tarballs at other URLs and packages bundled inside another are
// skipped, and counted. An alias is read as the package it stands for. Patches
// of Berry are skipped too: the package they patch has an entry of its own.
//
// Lockfiles are foreign text, and their names become parts of URLs: an entry whose
// name, version or file name is not of the registry's alphabet is skipped as well.
package lockfile
