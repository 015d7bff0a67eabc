package documents

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"pkgedge/origin/kind"
)

// An encoder that is used again remembers nothing of the document before.
func TestEncodersAreUsedAgain(t *testing.T) {
	var e encoders
	for i, size := range []int{100_000, 1000, 300_000, 1000, 100_000} {
		text := bytes.Repeat([]byte(strings.Repeat(string(rune('a'+i)), 40)+strconv.Itoa(i)), size/41)
		doc := kind.Document{Size: int64(len(text)), Body: writerTo(text)}
		for coding, decode := range map[string]func(*testing.T, io.Reader) []byte{
			Identity: readAll, Gzipped: gunzip, Zstded: unzstd,
		} {
			var out bytes.Buffer
			if err := e.Write(&out, doc, coding); err != nil {
				t.Fatal(err)
			}
			if got := decode(t, &out); !bytes.Equal(got, text) {
				t.Errorf("%q: %d bytes of %d, or others", coding, len(got), len(text))
			}
		}
	}
}

// writerTo is a document's body.
type writerTo []byte

func (w writerTo) WriteTo(to io.Writer) (int64, error) {
	n, err := to.Write(w)
	return int64(n), err
}

func readAll(t *testing.T, r io.Reader) []byte {
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gunzip(t *testing.T, r io.Reader) []byte {
	zr, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, zr)
}

func unzstd(t *testing.T, r io.Reader) []byte {
	zr, err := zstd.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	defer zr.Close()
	return readAll(t, zr)
}

// No window is larger than a client must accept, nor much larger than the document.
func TestWindow(t *testing.T) {
	for size, want := range map[int64]int{0: 1 << 10, 1000: 1 << 10, 1 << 20: 2 << 20, 4<<20 - 1: 4 << 20, 4 << 20: 4 << 20, 9 << 20: 4 << 20, 1 << 40: 4 << 20} {
		if have := windowFor(size); have != want {
			t.Errorf("%d bytes: %d, want %d", size, have, want)
		}
	}
}
