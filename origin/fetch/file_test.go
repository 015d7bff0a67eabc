package fetch

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
	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
	"pkgedge/origin/transport"
	"pkgedge/origin/verify"
)

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

// isBroken checks that a large file did not end: the bytes that came are right, and
// something is missing.
func isBroken(t *testing.T, r *origintest.Recorder, want []byte) {
	t.Helper()
	if len(r.Body) >= len(want) || !bytes.HasPrefix(want, r.Body) {
		t.Errorf("%d of %d bytes came", len(r.Body), len(want))
	}
}

func TestFileArrivesWhole(t *testing.T) {
	w := origintest.NewTwo(t)
	w.AddLarge(t)
	b := newBehind(t, w.URLs[:1])
	for _, path := range []string{aTarball, "/edge-sample-payload/-/edge-sample-payload-1.0.0.tgz", origintest.LargeTarball} {
		r, err := b.get(t, path)
		if err != nil {
			t.Fatal(err)
		}
		want := origintest.Download(t, w.AURL+path)
		origintest.Same(t, path, r.Body, want)
		if r.Size != int64(len(want)) || r.Status != http.StatusOK || r.Header.Get("Etag") == "" {
			t.Errorf("%s: %d of %d bytes, %v", path, r.Size, len(want), r.Header)
		}
	}
}

func TestFileOfUnknownLength(t *testing.T) {
	for _, size := range []int{100, smallFile, smallFile + 1, 2 * smallFile} {
		for _, flip := range []bool{false, true} {
			want := tarball.Noise("x", size)
			url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
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
				origintest.Same(t, "file", r.Body, want)
			case !errors.Is(err, verify.ErrDigest):
				t.Errorf("%d bytes, the last wrong: err = %v; want %v", size, err, verify.ErrDigest)
			case size > smallFile:
				isBroken(t, r, want)
			case r.Responds != 0:
				t.Errorf("%d wrong bytes were released", size)
			}
		}
	}
}

// A small file that is wrong is fetched elsewhere, and its client never knows.
func TestSmallFileIsSalvaged(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs)
	w.A.Break(faults.Suffix(".tgz"), faults.FlipByte(10))
	r, err := b.get(t, aTarball)
	if err != nil || r.Responds != 1 {
		t.Fatalf("%d responses, %v", r.Responds, err)
	}
	origintest.Same(t, "tarball", r.Body, origintest.Download(t, w.URLs[1]+aTarball))

	w.B.Break(faults.Suffix(".tgz"), faults.FlipByte(10))
	r, err = b.get(t, aTarball)
	isUnavailable(t, err)
	if !errors.Is(err, verify.ErrDigest) || r.Responds != 0 {
		t.Errorf("wrong everywhere: %d responses, %v", r.Responds, err)
	}
}

// A large file that is wrong never ends at its clients, once they have its beginning.
func TestLargeFileThatIsWrongBreaks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault faults.Fault
		err   error
	}{
		{"the last byte", faults.FlipByte(-1), verify.ErrDigest},
		{"cut cleanly", faults.ShortBody(2 * smallFile), verify.ErrDigest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			want := w.AddLarge(t)
			b := newBehind(t, w.URLs, unspooled)
			w.A.Break(faults.Path(origintest.LargeTarball), tt.fault)
			r, err := b.get(t, origintest.LargeTarball)
			if !errors.Is(err, tt.err) {
				t.Errorf("err = %v; want %v", err, tt.err)
			}
			isBroken(t, r, want)
			if r.Responds != 1 || w.B.Count(faults.Path(origintest.LargeTarball)) != 0 {
				t.Error("another master was asked after bytes were released")
			}
		})
	}
}

func TestLargeFileThatBeginsWronglyBreaks(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	b := newBehind(t, w.URLs[:1], unspooled)
	w.A.Break(faults.Path(origintest.LargeTarball), faults.FlipByte(0))
	r, err := b.get(t, origintest.LargeTarball)
	if !errors.Is(err, verify.ErrDigest) || len(r.Body) >= len(want) {
		t.Errorf("%d of %d bytes came, %v", len(r.Body), len(want), err)
	}
}

// A large file that breaks off is completed by another master, from where it
// broke off, and its client never knows.
func TestLargeFileIsResumed(t *testing.T) {
	short := origintest.Patient()
	short.Idle = time.Second // the wait for the other master too, on a busy machine
	for _, tt := range []struct {
		name   string
		first  faults.Fault
		waits  transport.Timeouts
		report string
		second []faults.Fault
		status string // of the second master, in the reports
	}{
		{"cut", faults.CutAfter(2 * smallFile), origintest.Patient(), "A cut", nil, "B 206"},
		{"stalled", faults.HangAfter(2 * smallFile), short, "A stalled", nil, "B 206"},
		{"stalled, and the other one knows no ranges", faults.HangAfter(2 * smallFile), short, "A stalled", []faults.Fault{ignoreRange(t)}, "B 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := origintest.NewTwo(t)
			want := w.AddLarge(t)
			b := newBehind(t, w.URLs, waits(tt.waits), unspooled)
			w.A.Break(faults.Path(origintest.LargeTarball), tt.first)
			if tt.second != nil {
				w.B.Break(faults.Path(origintest.LargeTarball), tt.second...)
			}
			r, err := b.get(t, origintest.LargeTarball)
			if err != nil || r.Responds != 1 {
				t.Fatalf("%d responses, %v; reports %q", r.Responds, err, b.reported())
			}
			origintest.Same(t, "tarball", r.Body, want)
			for _, report := range []string{tt.report, tt.status} {
				if !slices.Contains(b.reported(), report) {
					t.Errorf("reports %q; want %s", b.reported(), report)
				}
			}
		})
	}
}

// ignoreRange is a fault that sends the whole file where a part was asked for.
func ignoreRange(t *testing.T) faults.Fault {
	t.Helper()
	store, err := sample.Samples()
	if err != nil {
		t.Fatal(err)
	}
	w := &origintest.Two{Store: store}
	var s *sample.Server
	w.A, s = origintest.StartMaster(t, store)
	w.AURL = s.URL()
	return faults.Replace(w.AddLarge(t))
}

// A file that is broken off everywhere breaks, and the bytes that came are right.
func TestLargeFileThatBreaksOffEverywhere(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	b := newBehind(t, w.URLs, unspooled)
	for _, m := range []*faults.Master{w.A, w.B} {
		m.Break(faults.Path(origintest.LargeTarball), faults.CutAfter(400<<10))
	}
	r, err := b.get(t, origintest.LargeTarball)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("err = %v; want %v", err, io.ErrUnexpectedEOF)
	}
	isBroken(t, r, want)
	if n := w.A.Count(faults.Path(origintest.LargeTarball)) + w.B.Count(faults.Path(origintest.LargeTarball)); n > 2+maxResumes {
		t.Errorf("masters were asked %d times", n)
	}
}

// A length that was a lie cannot be taken back.
func TestLargeFileOfALieBreaks(t *testing.T) {
	w := origintest.NewTwo(t)
	w.AddLarge(t)
	b := newBehind(t, w.URLs, unspooled)
	w.A.Break(faults.Path(origintest.LargeTarball), faults.WrongLength(+1))
	if _, err := b.get(t, origintest.LargeTarball); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("err = %v; want %v", err, io.ErrUnexpectedEOF)
	}
}

// Bytes of two files are not joined into one that ends.
func TestResumedFileIsVerified(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	b := newBehind(t, w.URLs, unspooled)
	w.A.Break(faults.Path(origintest.LargeTarball), faults.CutAfter(2*smallFile))
	w.B.Break(faults.Path(origintest.LargeTarball), faults.FlipByte(-1))
	r, err := b.get(t, origintest.LargeTarball)
	if !errors.Is(err, verify.ErrDigest) {
		t.Errorf("err = %v; want %v", err, verify.ErrDigest)
	}
	isBroken(t, r, want)
}

// The master that sent a wrong file is asked last for it from then on, and for
// nothing else; and somebody is told.
func TestWrongFileIsHeldAgainstItsMaster(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	var told bytes.Buffer
	b := newBehind(t, w.URLs, unspooled, func(c *setup) { c.Log = slog.New(slog.NewTextHandler(&told, nil)) })
	w.A.Break(faults.Suffix(".tgz"), faults.FlipByte(-1))
	if _, err := b.get(t, origintest.LargeTarball); !errors.Is(err, verify.ErrDigest) {
		t.Fatal(err)
	}
	w.A.Forget()
	r, err := b.get(t, origintest.LargeTarball)
	if err != nil {
		t.Fatal(err)
	}
	origintest.Same(t, "the next time", r.Body, want)
	if n := w.A.Count(faults.Path(origintest.LargeTarball)); n != 0 {
		t.Errorf("the master in doubt was asked %d times", n)
	}
	if _, err := b.get(t, aTarball); err != nil || w.A.Count(faults.Path(aTarball)) != 1 {
		t.Errorf("another file: %v", err)
	}
	for _, want := range []string{w.AURL, origintest.LargeTarball, "answered with a wrong file", "sha512 is ", "want "} {
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
			w := origintest.NewTwo(t)
			want := w.AddLarge(t)
			b := newBehind(t, w.URLs, unspooled)
			masters := map[string]*faults.Master{"the first": w.A, "the second": w.B}
			for _, m := range masters {
				m.Break(faults.Path(origintest.LargeTarball), faults.FlipByte(-1))
			}
			for range 2 {
				if _, err := b.get(t, origintest.LargeTarball); !errors.Is(err, verify.ErrDigest) {
					t.Fatal(err)
				}
			}
			masters[mended].Mend()
			r, err := b.get(t, origintest.LargeTarball)
			if err != nil {
				r, err = b.get(t, origintest.LargeTarball)
			}
			if err != nil {
				t.Fatal(err)
			}
			origintest.Same(t, "tarball", r.Body, want)
		})
	}
}

// Until a byte of it is there, a large file has not begun.
func TestLargeFileFailsOverBeforeItsFirstByte(t *testing.T) {
	short := origintest.Patient()
	short.Idle = time.Second // the wait for the other master's bytes too, on a busy machine
	for name, fault := range map[string]faults.Fault{
		"headers and then nothing": faults.HangAfter(0),
		"headers and then a cut":   faults.CutAfter(0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := origintest.NewTwo(t)
			want := w.AddLarge(t)
			b := newBehind(t, w.URLs, waits(short))
			w.A.Break(faults.Path(origintest.LargeTarball), fault)
			r, err := b.get(t, origintest.LargeTarball)
			if err != nil || r.Responds != 1 {
				t.Fatalf("%d responses, %v", r.Responds, err)
			}
			origintest.Same(t, "tarball", r.Body, want)
		})
	}
}

// A large file that takes long is passed on as it comes, but for its tail.
func TestLargeFileStreams(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	b := newBehind(t, w.URLs[:1], unspooled)
	gate := faults.NewGate()
	w.A.Break(faults.Path(origintest.LargeTarball), faults.Drip(gate, 256<<10))
	r := &origintest.Recorder{}
	done := make(chan error, 1)
	go func() { done <- b.Fetch(t.Context(), pool.Request{Route: b.route(origintest.LargeTarball)}, r) }()
	gate.Step(1)
	r.Await(t, 256<<10-withheldTail)
	gate.Step(3)
	r.Await(t, 4*256<<10-withheldTail)
	gate.Open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	origintest.Same(t, "tarball", r.Body, want)
}

// Stored metadata may be older than a file: before one is called wrong, its
// digest is asked for anew.
func TestDigestIsRenewed(t *testing.T) {
	for _, path := range []string{aTarball, origintest.LargeTarball} {
		for _, tt := range []struct {
			name  string
			flip  bool
			renew string // the renewed list: "right", "old", "nothing", or "" for an error
			ok    bool
		}{
			{"the file is newer", false, "right", true},
			{"the file is wrong", true, "right", false},
			{"the list is the newest", false, "old", false},
			{"no newer list can be had", false, "", false},
			{"the newer list does not have it", false, "nothing", false},
		} {
			t.Run(tt.name+path, func(t *testing.T) {
				w := origintest.NewTwo(t)
				w.AddLarge(t)
				file := origintest.Download(t, w.AURL+path)
				if tt.flip {
					for _, m := range []*faults.Master{w.A, w.B} {
						m.Break(faults.Path(path), faults.FlipByte(-1))
					}
				}
				var old, right, nothing []byte
				renewed := 0
				b := newBehind(t, w.URLs, listedBy(func(renew bool) ([]byte, error) {
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
					origintest.Same(t, "file", r.Body, file)
				} else if !errors.Is(err, verify.ErrDigest) || len(r.Body) >= len(file) {
					t.Errorf("%d of %d bytes came, err = %v; want %v", len(r.Body), len(file), err, verify.ErrDigest)
				}
				if renewed == 0 {
					t.Error("the digest was not asked for anew")
				}
			})
		}
	}
}

func TestRightFileRenewsNothing(t *testing.T) {
	w := origintest.NewTwo(t)
	w.AddLarge(t)
	for _, path := range []string{aTarball, origintest.LargeTarball} {
		var doc []byte
		b := newBehind(t, w.URLs, listedBy(func(renew bool) ([]byte, error) {
			if renew {
				t.Error("renewed")
			}
			return doc, nil
		}))
		doc = listing(t, b, b.route(path), origintest.Download(t, w.AURL+path))
		if _, err := b.get(t, path); err != nil {
			t.Error(err)
		}
	}
}

// Without a digest a file is taken as it is, unless it cannot be one.
func TestFileWithoutADigest(t *testing.T) {
	none := listedBy(func(bool) ([]byte, error) { return nil, errors.New("no metadata") })
	never := func(c *setup) { c.List = nil }
	for name, option := range map[string]option{"not to be had": none, "not asked for": never} {
		t.Run(name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			want := w.AddLarge(t)
			b := newBehind(t, w.URLs, option)
			for path, file := range map[string][]byte{aTarball: origintest.Download(t, w.AURL+aTarball), origintest.LargeTarball: want} {
				r, err := b.get(t, path)
				if err != nil {
					t.Fatal(err)
				}
				origintest.Same(t, path, r.Body, file)
			}
			for _, fault := range []faults.Fault{faults.Empty(), faults.HTML()} {
				rule := w.A.Break(faults.Path(aTarball), fault)
				r, err := b.get(t, aTarball)
				if err != nil || r.Responds != 1 {
					t.Fatalf("%d responses, %v", r.Responds, err)
				}
				origintest.Same(t, "from the other master", r.Body, origintest.Download(t, w.URLs[1]+aTarball))
				rule.Mend()
			}
			page := bytes.Repeat([]byte("<p>back soon</p>"), smallFile)
			url := origintest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Write(page)
			})
			if _, err := newBehind(t, []string{url}, option).get(t, aTarball); !errors.Is(err, verify.ErrFile) {
				t.Errorf("a long page: err = %v; want %v", err, verify.ErrFile)
			}
		})
	}
}

func TestFileIsRevalidated(t *testing.T) {
	w := origintest.NewTwo(t)
	b := newBehind(t, w.URLs[:1])
	first, err := b.get(t, aTarball)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.ask(t, pool.Request{Route: b.route(aTarball), ETag: first.Header.Get("Etag")})
	if err != nil || r.Status != http.StatusNotModified || len(r.Body) != 0 {
		t.Errorf("%d with %d bytes, %v", r.Status, len(r.Body), err)
	}
}

func TestTailIsAlwaysHeld(t *testing.T) {
	want := tarball.Noise("tail", 5*withheldTail+17)
	for _, pieces := range [][]int{
		{1}, {7, 4096}, {withheldTail}, {withheldTail - 1, 1}, {withheldTail + 1}, {2*withheldTail + 5}, {len(want)}, {withheldTail, 1, withheldTail - 1},
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
			if len(w.withheld) == 0 || len(w.withheld) > withheldTail {
				t.Fatalf("pieces %v: %d bytes held", pieces, len(w.withheld))
			}
			if out.Len()+len(w.withheld) != off {
				t.Fatalf("pieces %v: %d of %d bytes are there", pieces, out.Len()+len(w.withheld), off)
			}
		}
		if got := append(out.Bytes(), w.withheld...); !bytes.Equal(got, want) {
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
		w.Write(make([]byte, withheldTail))
		if _, err := w.Write(make([]byte, 2*withheldTail)); !errors.Is(err, io.ErrClosedPipe) {
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

func (*hashed) Verify() error { return nil }
func (*hashed) Stop()         {}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}
