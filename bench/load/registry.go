package main

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// registry writes a tree that a server of static files can serve as an npm registry: packuments
// p0, p1, ... of ten versions each in dir/packuments, and the one tarball that all of them have,
// dir/tarball.
func registry(flags *flag.FlagSet, args []string) error {
	dir := flags.String("dir", "", "where")
	base := flags.String("base", "", "URL of the registry")
	count := flags.Int("n", 1000, "packages")
	size := flags.Int("size", 8192, "bytes of the tarball")
	if err := flags.Parse(args); err != nil {
		return err
	}
	tarball := make([]byte, *size)
	if _, err := rand.Read(tarball); err != nil {
		return err
	}
	sha, sum := sha512.Sum512(tarball), sha1.Sum(tarball)
	packuments := filepath.Join(*dir, "packuments")
	err := errors.Join(os.MkdirAll(packuments, 0o755), os.WriteFile(filepath.Join(*dir, "tarball"), tarball, 0o644))
	for i := 0; i < *count && err == nil; i++ {
		name := fmt.Sprintf("p%d", i)
		versions, times := map[string]any{}, map[string]string{}
		for minor := range 10 {
			version := fmt.Sprintf("1.%d.0", minor)
			times[version] = "2020-01-01T00:00:00.000Z"
			versions[version] = map[string]any{
				"name": name, "version": version, "description": "a package of the benchmark", "license": "MIT",
				"dependencies": map[string]string{"a": "^1.0.0", "b": "^2.0.0"}, "scripts": map[string]string{"test": "true"},
				"dist": map[string]string{
					"tarball":   fmt.Sprintf("%s/%s/-/%s-%s.tgz", *base, name, name, version),
					"shasum":    hex.EncodeToString(sum[:]),
					"integrity": "sha512-" + base64.StdEncoding.EncodeToString(sha[:]),
				},
			}
		}
		var body []byte
		body, err = json.Marshal(map[string]any{"name": name, "dist-tags": map[string]string{"latest": "1.9.0"}, "time": times, "versions": versions})
		if err == nil {
			err = os.WriteFile(filepath.Join(packuments, name), body, 0o644)
		}
	}
	return err
}
