package fetch

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

	"pkgedge/origin/kind"
)

// verifier takes a file's bytes as they come, and says at their end whether they
// were right. It is stopped when the end is not reached.
type verifier interface {
	io.Writer
	verify() error
	stop()
}

// sum verifies a digest.
type sum struct {
	hash.Hash
	want kind.Digest
}

func newSum(d kind.Digest) *sum { return &sum{newHash(d.Algorithm), d} }

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

func (s *sum) verify() error {
	if got := s.Sum(nil); !bytes.Equal(got, s.want.Sum) {
		return fmt.Errorf("%w: %s is %x, want %x", errDigest, s.want.Algorithm, got, s.want.Sum)
	}
	return nil
}

func (s *sum) stop() {}

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

func newFraming() *framing {
	from, to := io.Pipe()
	f := &framing{to, make(chan error, 1)}
	go func() {
		err := decodeAll(from)
		if err != nil {
			err = fmt.Errorf("%w: gzip: %w", errFile, err)
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

// Write never fails: verify reports the fault of the bytes.
func (f *framing) Write(p []byte) (int, error) {
	f.to.Write(p)
	return len(p), nil
}

func (f *framing) verify() error {
	f.to.Close()
	return <-f.done
}

func (f *framing) stop() { f.to.CloseWithError(errStopped) }
