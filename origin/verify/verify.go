package verify

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
)

// The faults of a file, each with its word for the metrics and its blame.
var (
	// ErrDigest: a file does not have the digest that the metadata states.
	ErrDigest = &health.Blame{Word: "digest", Did: "answered with a wrong file", Err: errors.New("digest does not match")}
	// ErrFile: an answer that cannot be the file, with any digest. It may be the true
	// answer to a name that a client made up.
	ErrFile = &health.Blame{Word: "file", Err: errors.New("unusable file")}
)

// Verifier takes a file's bytes as they come. Verify says at their end whether they were right:
// its error is ErrDigest or ErrFile. Stop ends one whose file is not read to its end. Write never
// fails. One goroutine uses it.
type Verifier interface {
	io.Writer
	Verify() error
	Stop()
}

// Sum verifies a digest.
type Sum struct {
	hash.Hash
	Want kind.Digest // may become another one of its algorithm
}

// Digest verifies that a file has a digest.
func Digest(d kind.Digest) *Sum { return &Sum{newHash(d.Algorithm), d} }

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha512":
		return sha512.New()
	case "sha384":
		return sha512.New384()
	case "sha256":
		return sha256.New()
	}
	return sha1.New()
}

// Verify implements Verifier.
func (s *Sum) Verify() error {
	if got := s.Sum(nil); !bytes.Equal(got, s.Want.Sum) {
		return fmt.Errorf("%w: %s is %x, want %x", ErrDigest, s.Want.Algorithm, got, s.Want.Sum)
	}
	return nil
}

// Stop implements Verifier.
func (s *Sum) Stop() {}

// framing verifies the checksums and lengths of a gzip file (RFC 1952), for a
// file of which no digest is known. It decodes on a goroutine of its own.
type framing struct {
	to   *io.PipeWriter
	done chan error
}

// longestFraming is how many decoded bytes are checked: a file that decodes to more
// is no package, and is not worth the time.
const longestFraming = 4 << 30

var errStopped = errors.New("stopped")

// Gzip verifies that a file is one of gzip, and whole.
func Gzip() Verifier {
	from, to := io.Pipe()
	f := &framing{to, make(chan error, 1)}
	go func() {
		err := decodeAll(from)
		if err != nil {
			err = fmt.Errorf("%w: gzip: %w", ErrFile, err)
		}
		f.done <- err
		from.CloseWithError(errStopped) // further bytes are not checked
	}()
	return f
}

func decodeAll(from io.Reader) error {
	zr, err := gzip.NewReader(from)
	if err != nil {
		return err
	}
	if _, err = io.CopyN(io.Discard, zr, longestFraming); err == io.EOF {
		return nil
	}
	return err
}

// Write never fails: Verify reports the fault of the bytes.
func (f *framing) Write(p []byte) (int, error) {
	f.to.Write(p)
	return len(p), nil
}

func (f *framing) Verify() error {
	f.to.Close()
	return <-f.done
}

func (f *framing) Stop() { f.to.CloseWithError(errStopped) }
