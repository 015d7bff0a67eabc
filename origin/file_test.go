package origin

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pkgedge/origin/kind"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
)

const largeTarball = "/large/-/large-1.0.0.tgz"

// withLarge adds a package whose tarball is too large to be held back whole, and
// returns the tarball.
func (w *two) withLarge(t *testing.T) []byte {
	t.Helper()
	err := w.store.AddPackage("large", sample.Version{
		Number: "1.0.0", Files: map[string][]byte{"data.bin": tarball.Noise("large", 3*smallFile)},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := download(t, w.aURL+largeTarball)
	if len(file) <= smallFile {
		t.Fatalf("%d bytes are not large", len(file))
	}
	w.a.Forget()
	return file
}

// listing is a digests document for one file.
func listing(t *testing.T, b *behind, file kind.Route, body []byte) []byte {
	t.Helper()
	list := b.Lists(file)[0]
	name := file.Key[strings.LastIndex(file.Key, "/")+1:]
	sum := sha512.Sum512(body)
	doc := `{"name":"` + file.Group + `","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"` + file.Group +
		`","version":"1.0.0","dist":{"integrity":"sha512-` + base64.StdEncoding.EncodeToString(sum[:]) +
		`","tarball":"https://registry.example/` + file.Group + `/-/` + name + `"}}}}`
	docs, err := b.Prepare(list, kind.Source{Body: []byte(doc)})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		if d.Variant == kind.Summary {
			var out bytes.Buffer
			if _, err := d.Body.WriteTo(&out); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}
	}
	t.Fatal("no digests")
	return nil
}

// isBroken checks that a large file did not end: what came is right, and
// something is missing.
func isBroken(t *testing.T, r *recorder, want []byte) {
	t.Helper()
	if len(r.body) >= len(want) || !bytes.HasPrefix(want, r.body) {
		t.Errorf("%d of %d bytes came", len(r.body), len(want))
	}
}

func TestFileArrivesWhole(t *testing.T) {
	w := newTwo(t)
	w.withLarge(t)
	b := newBehind(t, w.bothURLs[:1])
	for _, path := range []string{aTarball, "/edge-sample-payload/-/edge-sample-payload-1.0.0.tgz", largeTarball} {
		r, err := b.get(t, path)
		if err != nil {
			t.Fatal(err)
		}
		want := download(t, w.aURL+path)
		same(t, path, r.body, want)
		if r.size != int64(len(want)) || r.status != http.StatusOK || r.header.Get("Etag") == "" {
			t.Errorf("%s: %d of %d bytes, %v", path, r.size, len(want), r.header)
		}
	}
}

func TestFileOfUnknownLength(t *testing.T) {
	for _, size := range []int{100, smallFile, smallFile + 1, 3 * smallFile} {
		for _, flip := range []bool{false, true} {
			want := tarball.Noise("x", size)
			url := serveFunc(t, func(w http.ResponseWriter, _ *http.Request) {
				http.NewResponseController(w).Flush() // no Content-Length then
				body := want
				if flip {
					body = bytes.Clone(want)
					body[size-1] ^= 1
				}
				w.Write(body)
			})
			var doc []byte
			b := newBehind(t, []string{url}, listedBy(func(bool) ([]byte, error) { return doc, nil }))
			doc = listing(t, b, b.route("/x/-/x-1.0.0.tgz"), want)
			r, err := b.get(t, "/x/-/x-1.0.0.tgz")
			switch {
			case !flip && err != nil:
				t.Errorf("%d bytes: %v", size, err)
			case !flip:
				same(t, "file", r.body, want)
			case !errors.Is(err, errDigest):
				t.Errorf("%d bytes, the last wrong: err = %v; want %v", size, err, errDigest)
			case size > smallFile:
				isBroken(t, r, want)
			case r.responds != 0:
				t.Errorf("%d wrong bytes were released", size)
			}
		}
	}
}

// A small file that is wrong is fetched elsewhere, and its client never knows.
func TestSmallFileIsSalvaged(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs)
	w.a.Break(faults.Suffix(".tgz"), faults.FlipByte(10))
	r, err := b.get(t, aTarball)
	if err != nil || r.responds != 1 {
		t.Fatalf("%d responses, %v", r.responds, err)
	}
	same(t, "tarball", r.body, download(t, w.bothURLs[1]+aTarball))

	w.b.Break(faults.Suffix(".tgz"), faults.FlipByte(10))
	r, err = b.get(t, aTarball)
	isUnavailable(t, err)
	if !errors.Is(err, errDigest) || r.responds != 0 {
		t.Errorf("wrong everywhere: %d responses, %v", r.responds, err)
	}
}

// A large file that is wrong never ends at its clients.
func TestLargeFileThatIsWrongBreaks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault faults.Fault
		err   error
	}{
		{"the last byte", faults.FlipByte(-1), errDigest},
		{"cut cleanly", faults.ShortBody(2 * smallFile), errDigest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTwo(t)
			want := w.withLarge(t)
			b := newBehind(t, w.bothURLs)
			w.a.Break(faults.Path(largeTarball), tt.fault)
			r, err := b.get(t, largeTarball)
			if !errors.Is(err, tt.err) {
				t.Errorf("err = %v; want %v", err, tt.err)
			}
			isBroken(t, r, want)
			if r.responds != 1 || w.b.Count(faults.Path(largeTarball)) != 0 {
				t.Error("another master was asked after bytes were released")
			}
		})
	}
}

func TestLargeFileThatBeginsWronglyBreaks(t *testing.T) {
	w := newTwo(t)
	want := w.withLarge(t)
	b := newBehind(t, w.bothURLs[:1])
	w.a.Break(faults.Path(largeTarball), faults.FlipByte(0))
	r, err := b.get(t, largeTarball)
	if !errors.Is(err, errDigest) || len(r.body) >= len(want) {
		t.Errorf("%d of %d bytes came, %v", len(r.body), len(want), err)
	}
}

// A large file that breaks off is completed by another master, from where it
// broke off, and its client never knows.
func TestLargeFileIsResumed(t *testing.T) {
	short := patient
	short.Idle = 100 * time.Millisecond
	for _, tt := range []struct {
		name   string
		first  faults.Fault
		waits  Timeouts
		report string
		second []faults.Fault
		status string // of the second master, in the reports
	}{
		{"cut", faults.CutAfter(2 * smallFile), patient, "A cut", nil, "B 206"},
		{"stalled", faults.HangAfter(2 * smallFile), short, "A stalled", nil, "B 206"},
		{"stalled, and the other one knows no ranges", faults.HangAfter(2 * smallFile), short, "A stalled", []faults.Fault{ignoreRange(t)}, "B 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTwo(t)
			want := w.withLarge(t)
			b := newBehind(t, w.bothURLs, waits(tt.waits))
			w.a.Break(faults.Path(largeTarball), tt.first)
			if tt.second != nil {
				w.b.Break(faults.Path(largeTarball), tt.second...)
			}
			r, err := b.get(t, largeTarball)
			if err != nil || r.responds != 1 {
				t.Fatalf("%d responses, %v; reports %q", r.responds, err, b.reported())
			}
			same(t, "tarball", r.body, want)
			for _, report := range []string{tt.report, tt.status} {
				if !slices.Contains(b.reported(), report) {
					t.Errorf("reports %q; want %s", b.reported(), report)
				}
			}
		})
	}
}

// ignoreRange is a fault that sends the whole file to whoever asks for a part.
func ignoreRange(t *testing.T) faults.Fault {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	w := &two{store: store}
	var s *sample.Server
	w.a, s = startMaster(t, store)
	w.aURL = s.URL()
	return faults.Replace(w.withLarge(t))
}

// A file that is broken off everywhere breaks, with what came being right.
func TestLargeFileThatBreaksOffEverywhere(t *testing.T) {
	w := newTwo(t)
	want := w.withLarge(t)
	b := newBehind(t, w.bothURLs)
	for _, m := range []*faults.Master{w.a, w.b} {
		m.Break(faults.Path(largeTarball), faults.CutAfter(400<<10))
	}
	r, err := b.get(t, largeTarball)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("err = %v; want %v", err, io.ErrUnexpectedEOF)
	}
	isBroken(t, r, want)
	if n := w.a.Count(faults.Path(largeTarball)) + w.b.Count(faults.Path(largeTarball)); n > 2+maxResumes {
		t.Errorf("masters were asked %d times", n)
	}
}

// A length that was a lie cannot be taken back.
func TestLargeFileOfALieBreaks(t *testing.T) {
	w := newTwo(t)
	w.withLarge(t)
	b := newBehind(t, w.bothURLs)
	w.a.Break(faults.Path(largeTarball), faults.WrongLength(+1))
	if _, err := b.get(t, largeTarball); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("err = %v; want %v", err, io.ErrUnexpectedEOF)
	}
}

// Bytes of two files are not joined into one that ends.
func TestResumedFileIsVerified(t *testing.T) {
	w := newTwo(t)
	want := w.withLarge(t)
	b := newBehind(t, w.bothURLs)
	w.a.Break(faults.Path(largeTarball), faults.CutAfter(2*smallFile))
	w.b.Break(faults.Path(largeTarball), faults.FlipByte(-1))
	r, err := b.get(t, largeTarball)
	if !errors.Is(err, errDigest) {
		t.Errorf("err = %v; want %v", err, errDigest)
	}
	isBroken(t, r, want)
}

// The master that sent a wrong file is asked last for it from then on, and for
// nothing else; and somebody is told.
func TestWrongFileIsHeldAgainstItsMaster(t *testing.T) {
	w := newTwo(t)
	want := w.withLarge(t)
	var told bytes.Buffer
	b := newBehind(t, w.bothURLs, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&told, nil)) })
	w.a.Break(faults.Suffix(".tgz"), faults.FlipByte(-1))
	if _, err := b.get(t, largeTarball); !errors.Is(err, errDigest) {
		t.Fatal(err)
	}
	w.a.Forget()
	r, err := b.get(t, largeTarball)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the next time", r.body, want)
	if n := w.a.Count(faults.Path(largeTarball)); n != 0 {
		t.Errorf("the master in doubt was asked %d times", n)
	}
	if _, err := b.get(t, aTarball); err != nil || w.a.Count(faults.Path(aTarball)) != 1 {
		t.Errorf("another file: %v", err)
	}
	for _, want := range []string{w.aURL, "tarball/large/large-1.0.0.tgz", "sha512 is ", "want "} {
		if line, _, _ := strings.Cut(told.String(), "\n"); !strings.Contains(line, want) {
			t.Errorf("the log does not say %q: %s", want, line)
		}
	}
}

// Both had the same wrong file. Once one of them is mended, the second request at
// the latest has it.
func TestMastersThatWereWrongAreAskedInTurn(t *testing.T) {
	for _, mended := range []string{"the first", "the second"} {
		t.Run(mended, func(t *testing.T) {
			w := newTwo(t)
			want := w.withLarge(t)
			b := newBehind(t, w.bothURLs)
			masters := map[string]*faults.Master{"the first": w.a, "the second": w.b}
			for _, m := range masters {
				m.Break(faults.Path(largeTarball), faults.FlipByte(-1))
			}
			for range 2 {
				if _, err := b.get(t, largeTarball); !errors.Is(err, errDigest) {
					t.Fatal(err)
				}
			}
			masters[mended].Mend()
			r, err := b.get(t, largeTarball)
			if err != nil {
				r, err = b.get(t, largeTarball)
			}
			if err != nil {
				t.Fatal(err)
			}
			same(t, "tarball", r.body, want)
		})
	}
}

// Until a byte of it is there, a large file has not begun.
func TestLargeFileFailsOverBeforeItsFirstByte(t *testing.T) {
	short := patient
	short.FirstByte, short.Idle = 100*time.Millisecond, 100*time.Millisecond
	for name, fault := range map[string]faults.Fault{
		"headers and then nothing": faults.HangAfter(0),
		"headers and then a cut":   faults.CutAfter(0),
	} {
		t.Run(name, func(t *testing.T) {
			w := newTwo(t)
			want := w.withLarge(t)
			b := newBehind(t, w.bothURLs, waits(short))
			w.a.Break(faults.Path(largeTarball), fault)
			r, err := b.get(t, largeTarball)
			if err != nil || r.responds != 1 {
				t.Fatalf("%d responses, %v", r.responds, err)
			}
			same(t, "tarball", r.body, want)
		})
	}
}

// A large file is passed on as it comes, but for what is held back.
func TestLargeFileStreams(t *testing.T) {
	w := newTwo(t)
	want := w.withLarge(t)
	b := newBehind(t, w.bothURLs[:1])
	gate := faults.NewGate()
	w.a.Break(faults.Path(largeTarball), faults.Drip(gate, 256<<10))
	r := &recorder{}
	done := make(chan error, 1)
	go func() { done <- b.Fetch(t.Context(), Ask{Route: b.route(largeTarball)}, r) }()
	gate.Step(1)
	r.await(t, 256<<10-heldTail)
	gate.Step(3)
	r.await(t, 4*256<<10-heldTail)
	gate.Open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	same(t, "tarball", r.body, want)
}

// Stored metadata may be older than a file: before one is called wrong, its
// digest is asked for anew.
func TestDigestIsRenewed(t *testing.T) {
	for _, path := range []string{aTarball, largeTarball} {
		for _, tt := range []struct {
			name  string
			flip  bool
			renew string // what the renewed list says: "right", "old", "nothing", or "" for an error
			ok    bool
		}{
			{"the file is newer", false, "right", true},
			{"the file is wrong", true, "right", false},
			{"the list is the newest", false, "old", false},
			{"no newer list can be had", false, "", false},
			{"the newer list does not have it", false, "nothing", false},
		} {
			t.Run(tt.name+path, func(t *testing.T) {
				w := newTwo(t)
				w.withLarge(t)
				file := download(t, w.aURL+path)
				if tt.flip {
					for _, m := range []*faults.Master{w.a, w.b} {
						m.Break(faults.Path(path), faults.FlipByte(-1))
					}
				}
				var old, right, nothing []byte
				renewed := 0
				b := newBehind(t, w.bothURLs, listedBy(func(renew bool) ([]byte, error) {
					if !renew {
						return old, nil
					}
					renewed++
					switch tt.renew {
					case "right":
						return right, nil
					case "old":
						return old, nil
					case "nothing":
						return nothing, nil
					}
					return nil, errors.New("no master answers")
				}))
				route := b.route(path)
				old = listing(t, b, route, []byte("what it was before"))
				right = listing(t, b, route, file)
				nothing, _, _ = bytes.Cut(old, []byte("\n"))
				nothing = append(bytes.Clone(nothing), '\n')
				r, err := b.get(t, path)
				if tt.ok {
					if err != nil {
						t.Fatal(err)
					}
					same(t, "file", r.body, file)
				} else if !errors.Is(err, errDigest) || len(r.body) >= len(file) {
					t.Errorf("%d of %d bytes came, err = %v; want %v", len(r.body), len(file), err, errDigest)
				}
				if renewed == 0 {
					t.Error("the digest was not asked for anew")
				}
			})
		}
	}
}

func TestRightFileRenewsNothing(t *testing.T) {
	w := newTwo(t)
	w.withLarge(t)
	for _, path := range []string{aTarball, largeTarball} {
		var doc []byte
		b := newBehind(t, w.bothURLs, listedBy(func(renew bool) ([]byte, error) {
			if renew {
				t.Error("renewed")
			}
			return doc, nil
		}))
		doc = listing(t, b, b.route(path), download(t, w.aURL+path))
		if _, err := b.get(t, path); err != nil {
			t.Error(err)
		}
	}
}

// Without a digest a file is taken as it is, unless it cannot be one.
func TestFileWithoutADigest(t *testing.T) {
	none := listedBy(func(bool) ([]byte, error) { return nil, errors.New("no metadata") })
	never := func(c *Config) { c.Digests = nil }
	for name, option := range map[string]option{"not to be had": none, "not asked for": never} {
		t.Run(name, func(t *testing.T) {
			w := newTwo(t)
			want := w.withLarge(t)
			b := newBehind(t, w.bothURLs, option)
			for path, file := range map[string][]byte{aTarball: download(t, w.aURL+aTarball), largeTarball: want} {
				r, err := b.get(t, path)
				if err != nil {
					t.Fatal(err)
				}
				same(t, path, r.body, file)
			}
			for _, fault := range []faults.Fault{faults.Empty(), faults.HTML()} {
				rule := w.a.Break(faults.Path(aTarball), fault)
				r, err := b.get(t, aTarball)
				if err != nil || r.responds != 1 {
					t.Fatalf("%d responses, %v", r.responds, err)
				}
				same(t, "from the other master", r.body, download(t, w.bothURLs[1]+aTarball))
				rule.Mend()
			}
			page := bytes.Repeat([]byte("<p>back soon</p>"), smallFile)
			url := serveFunc(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Write(page)
			})
			if _, err := newBehind(t, []string{url}, option).get(t, aTarball); !errors.Is(err, errFile) {
				t.Errorf("a long page: err = %v; want %v", err, errFile)
			}
		})
	}
}

func TestFileIsRevalidated(t *testing.T) {
	w := newTwo(t)
	b := newBehind(t, w.bothURLs[:1])
	first, err := b.get(t, aTarball)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.ask(t, Ask{Route: b.route(aTarball), ETag: first.header.Get("Etag")})
	if err != nil || r.status != http.StatusNotModified || len(r.body) != 0 {
		t.Errorf("%d with %d bytes, %v", r.status, len(r.body), err)
	}
}

func TestTailIsAlwaysHeld(t *testing.T) {
	want := tarball.Noise("tail", 5*heldTail+17)
	for _, pieces := range [][]int{
		{1}, {7, 4096}, {heldTail}, {heldTail - 1, 1}, {heldTail + 1}, {2*heldTail + 5}, {len(want)}, {heldTail, 1, heldTail - 1},
	} {
		sum := sha512.New()
		var out bytes.Buffer
		w := &transfer{sink: &streamed{Writer: &out}, check: &hashed{sum}}
		for off, i := 0, 0; off < len(want); i++ {
			n := min(pieces[i%len(pieces)], len(want)-off)
			if m, err := w.Write(want[off : off+n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			off += n
			if len(w.held) == 0 || len(w.held) > heldTail {
				t.Fatalf("pieces %v: %d bytes held", pieces, len(w.held))
			}
			if out.Len()+len(w.held) != off {
				t.Fatalf("pieces %v: %d of %d bytes are there", pieces, out.Len()+len(w.held), off)
			}
		}
		if got := append(out.Bytes(), w.held...); !bytes.Equal(got, want) {
			t.Errorf("pieces %v: bytes are out of order", pieces)
		}
		if right := sha512.Sum512(want); !bytes.Equal(sum.Sum(nil), right[:]) {
			t.Errorf("pieces %v: wrong sum", pieces)
		}
	}
}

func TestTailStopsAtAFailedWrite(t *testing.T) {
	for _, fail := range []int{0, 1} {
		w := &transfer{sink: &streamed{Writer: &failing{after: fail}}, check: &hashed{sha512.New()}}
		w.Write(make([]byte, heldTail))
		if _, err := w.Write(make([]byte, 2*heldTail)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("after %d writes: err = %v", fail, err)
		}
	}
}

// streamed is a Sink of which only Write matters.
type streamed struct {
	Sink
	io.Writer
}

func (s *streamed) Write(p []byte) (int, error) { return s.Writer.Write(p) }

// hashed is a verifier that finds everything right.
type hashed struct{ hash.Hash }

func (*hashed) verify() error { return nil }
func (*hashed) stop()         {}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}
