package tarball

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Time is the modification time of every tarball entry. A fixed one makes the
// same files give the same bytes.
var Time = time.Date(2024, time.March, 1, 12, 0, 0, 0, time.UTC)

// Pack packs files, named by their paths below "package/", as a registry
// carries them: a tar in gzip with package.json first and the others in order
// of name. The same files always give the same bytes. Files below bin/ are
// executable. The error is that of a name that tar cannot hold.
func Pack(files map[string][]byte) ([]byte, error) {
	names := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return cmp.Or(manifestLast(a)-manifestLast(b), cmp.Compare(a, b))
	})
	var out bytes.Buffer
	pack := tar.NewWriter(&out)
	for _, name := range names {
		mode := int64(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		head := tar.Header{Name: "package/" + name, Mode: mode, Size: int64(len(files[name])), ModTime: Time}
		if err := pack.WriteHeader(&head); err != nil {
			return nil, fmt.Errorf("cannot pack %q: %w", name, err)
		}
		if _, err := pack.Write(files[name]); err != nil {
			return nil, fmt.Errorf("cannot pack %q: %w", name, err)
		}
	}
	if err := pack.Close(); err != nil {
		return nil, fmt.Errorf("cannot pack: %w", err)
	}
	return Gzip(out.Bytes()), nil
}

// Gzip is a gzip file of content that is not compressed (RFC 1952, RFC 1951 section 3.2.4).
// A compressor costs more to make than a small tarball to serve.
func Gzip(content []byte) []byte {
	const most = 1<<16 - 1 // bytes of a block
	out := make([]byte, 0, len(content)+5*(len(content)/most+1)+18)
	out = append(out, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255)
	for rest, last := content, false; !last; {
		block := rest[:min(len(rest), most)]
		rest = rest[len(block):]
		last = len(rest) == 0
		final := byte(0)
		if last {
			final = 1
		}
		out = append(out, final)
		out = binary.LittleEndian.AppendUint16(out, uint16(len(block)))
		out = binary.LittleEndian.AppendUint16(out, ^uint16(len(block)))
		out = append(out, block...)
	}
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(content))
	return binary.LittleEndian.AppendUint32(out, uint32(len(content)))
}

// manifestLast orders package.json, 0, before every other file, 1.
func manifestLast(name string) int {
	if name == "package.json" {
		return 0
	}
	return 1
}

// Integrity is the dist.integrity of a tarball: Subresource Integrity with
// SHA-512.
func Integrity(tarball []byte) string {
	sum := sha512.Sum512(tarball)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Shasum is the dist.shasum of a tarball: SHA-1 in hexadecimal.
func Shasum(tarball []byte) string {
	sum := sha1.Sum(tarball)
	return hex.EncodeToString(sum[:])
}

// Noise is n bytes that do not compress, the same ones for the same seed.
func Noise(seed string, n int) []byte {
	out := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(out) // never fails
	return out
}
