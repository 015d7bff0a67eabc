package fetch

import (
	"encoding/base64"
	"errors"
	"slices"
	"testing"
	"time"

	"pkgedge/origin/origintest"
	"pkgedge/origin/pool"
	"pkgedge/origin/sample"
	"pkgedge/origin/sample/faults"
	"pkgedge/origin/sample/tarball"
	"pkgedge/origin/transport"
	"pkgedge/origin/verify"
)

// patiently has no file released before it is verified, however slow this machine is.
func patiently(c *setup) { c.Spool = SpoolTimes{Least: time.Hour, Most: time.Hour} }

// A large file that one master sends wrong, or not to its end, costs a client nothing while
// another master has it.
func TestLargeFileIsSalvaged(t *testing.T) {
	short := origintest.Patient()
	short.FirstByte = time.Second // for the other master too, on a busy machine
	const most = 2_831_155        // of the 3 MiB of the file, 90 %
	for _, tt := range []struct {
		name   string
		fault  faults.Fault
		waits  transport.Timeouts
		report string // of the first master
		second string // of the other one
	}{
		{"the first byte is wrong", faults.FlipByte(0), origintest.Patient(), "A digest", "B 200"},
		{"the last byte is wrong", faults.FlipByte(-1), origintest.Patient(), "A digest", "B 200"},
		{"cut cleanly", faults.ShortBody(most), origintest.Patient(), "A digest", "B 200"},
		{"less than announced", faults.WrongLength(+1), origintest.Patient(), "A cut", "B 200"},
		{"less announced than sent", faults.WrongLength(-1), origintest.Patient(), "A digest", "B 200"},
		{"cut at 90 %", faults.CutAfter(most), origintest.Patient(), "A cut", "B 206"},
		{"stalled at 90 %", faults.HangAfter(most), short, "A stalled", "B 206"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := origintest.NewTwo(t)
			want := w.AddLarge(t)
			b := newBehind(t, w.URLs, patiently, waits(tt.waits))
			w.A.Break(faults.Path(origintest.LargeTarball), tt.fault)
			r, err := b.get(t, origintest.LargeTarball)
			if err != nil || r.Responds != 1 {
				t.Fatalf("%d responses, %v; reports %q", r.Responds, err, b.reported())
			}
			origintest.Same(t, "tarball", r.Body, want)
			for _, report := range []string{tt.report, tt.second} {
				if !slices.Contains(b.reported(), report) {
					t.Errorf("reports %q; want %s", b.reported(), report)
				}
			}
		})
	}
}

// The bytes of a master that lies, and then cuts, spoil those of the one that completes them. The
// whole of the latter is right.
func TestMixedFileBeginsAnew(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	b := newBehind(t, w.URLs, patiently)
	w.A.Break(faults.Path(origintest.LargeTarball), faults.FlipByte(5), faults.CutAfter(2*smallFile))
	r, err := b.get(t, origintest.LargeTarball)
	if err != nil || r.Responds != 1 {
		t.Fatalf("%d responses, %v; reports %q", r.Responds, err, b.reported())
	}
	origintest.Same(t, "tarball", r.Body, want)
	if got := b.masters.Status().Masters[1]; got.State != "healthy" {
		t.Errorf("the master that completed the file is %s: %s", got.State, got.Why)
	}
}

// A file that is wrong everywhere is an error that clients see before any byte.
func TestLargeFileThatIsWrongEverywhere(t *testing.T) {
	w := origintest.NewTwo(t)
	w.AddLarge(t)
	b := newBehind(t, w.URLs, patiently)
	for _, m := range []*faults.Master{w.A, w.B} {
		m.Break(faults.Path(origintest.LargeTarball), faults.FlipByte(-1))
	}
	r, err := b.get(t, origintest.LargeTarball)
	isUnavailable(t, err)
	if !errors.Is(err, verify.ErrDigest) || r.Responds != 0 {
		t.Errorf("%d responses, %v", r.Responds, err)
	}
}

// Without a digest a file that breaks off is fetched anew: nothing tells whether two masters'
// bytes belong together.
func TestLargeFileWithoutADigestIsSalvaged(t *testing.T) {
	for name, fault := range map[string]faults.Fault{"cut": faults.CutAfter(2 * smallFile), "no sound gzip": faults.FlipByte(-1)} {
		t.Run(name, func(t *testing.T) {
			w := origintest.NewTwo(t)
			want := w.AddLarge(t)
			b := newBehind(t, w.URLs, patiently, listedBy(func(bool) ([]byte, error) { return nil, errors.New("no list") }))
			w.A.Break(faults.Path(origintest.LargeTarball), fault)
			r, err := b.get(t, origintest.LargeTarball)
			if err != nil || r.Responds != 1 {
				t.Fatalf("%d responses, %v; reports %q", r.Responds, err, b.reported())
			}
			origintest.Same(t, "tarball", r.Body, want)
		})
	}
}

// A file that drips is not kept back for longer than it is worth.
func TestDrippingFileStreams(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	b := newBehind(t, w.URLs[:1], unspooled)
	gate := faults.NewGate()
	w.A.Break(faults.Path(origintest.LargeTarball), faults.Drip(gate, 16<<10))
	r := &origintest.Recorder{}
	done := make(chan error, 1)
	go func() { done <- b.Fetch(t.Context(), pool.Request{Route: b.route(origintest.LargeTarball)}, r) }()
	gate.Step(8)
	r.Await(t, 8*16<<10-withheldTail)
	gate.Open()
	if err := <-done; err != nil || r.Spools != 1 || r.Responds != 1 {
		t.Fatalf("spooled %d times, %d responses, %v", r.Spools, r.Responds, err)
	}
	origintest.Same(t, "tarball", r.Body, want)
}

// A master that drips is left for one that does not, and only for such a one.
func TestSlowMasterIsLeft(t *testing.T) {
	tooFast := func(c *setup) { c.Spool = SpoolTimes{Least: 1, Most: time.Hour, Rate: 1 << 50} }
	for _, path := range []string{"/wordy", "/edge-sample-payload/-/edge-sample-payload-1.0.0.tgz", origintest.LargeTarball} {
		for masters := 1; masters <= 2; masters++ {
			w := origintest.NewTwo(t)
			w.AddLarge(t)
			if err := w.Store.AddPackage("wordy", sample.Version{Number: "1.0.0", Readme: base64.StdEncoding.EncodeToString(tarball.Noise("x", 300<<10))}); err != nil {
				t.Fatal(err)
			}
			want := origintest.Download(t, w.AURL+path)
			b := newBehind(t, w.URLs[:masters], tooFast)
			gate := faults.NewGate()
			gate.Open()
			for _, m := range []*faults.Master{w.A, w.B} { // both: the second one may be as slow
				m.Break(faults.Path(path), faults.Drip(gate, 4000))
			}
			r, err := b.get(t, path)
			if err != nil || r.Responds != 1 {
				t.Fatalf("%s of %d: %d responses, %v; reports %q", path, masters, r.Responds, err, b.reported())
			}
			if path == "/wordy" {
				if n := len(r.Find(t, "full", "")); n < 300<<10 {
					t.Errorf("%d bytes of a document came", n)
				}
			} else {
				origintest.Same(t, path, r.Body, want)
			}
			if !slices.Contains(b.reported(), "A slow") || masters == 2 && w.B.Count(faults.Path(path)) != 1 {
				t.Errorf("%s of %d: reports %q", path, masters, b.reported())
			}
			if got := b.masters.Status().Masters[0]; got.State != "healthy" {
				t.Errorf("a slow master is %s: %s", got.State, got.Why)
			}
		}
	}
}

// Where there is no place for the bytes a large file streams, and breaks where it is wrong.
func TestLargeFileWithoutAPlaceStreams(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	b := newBehind(t, w.URLs, patiently)
	w.A.Break(faults.Path(origintest.LargeTarball), faults.CutAfter(2*smallFile))
	r := &origintest.Recorder{Full: true}
	if err := b.Fetch(t.Context(), pool.Request{Route: b.route(origintest.LargeTarball)}, r); err != nil || r.Responds != 1 {
		t.Fatalf("%d responses, %v", r.Responds, err)
	}
	origintest.Same(t, "tarball", r.Body, want)

	w.B.Break(faults.Path(origintest.LargeTarball), faults.FlipByte(-1))
	r = &origintest.Recorder{Full: true}
	if err := b.Fetch(t.Context(), pool.Request{Route: b.route(origintest.LargeTarball)}, r); !errors.Is(err, verify.ErrDigest) {
		t.Errorf("err = %v; want %v", err, verify.ErrDigest)
	}
	isBroken(t, r, want)
}

// A full disk under a spooled file releases it, and nothing begins anew then.
func TestPlaceFailsUnderALargeFile(t *testing.T) {
	w := origintest.NewTwo(t)
	want := w.AddLarge(t)
	b := newBehind(t, w.URLs, patiently)
	w.A.Break(faults.Path(origintest.LargeTarball), faults.FlipByte(-1))
	r := &fillsUp{Recorder: origintest.Recorder{}, after: smallFile}
	err := b.Fetch(t.Context(), pool.Request{Route: b.route(origintest.LargeTarball)}, r)
	if !errors.Is(err, verify.ErrDigest) || r.Responds != 1 {
		t.Errorf("%d responses, err = %v; want %v", r.Responds, err, verify.ErrDigest)
	}
	isBroken(t, &r.Recorder, want)
}

// fillsUp has no more place for a spooled response after some bytes.
type fillsUp struct {
	origintest.Recorder
	after int
}

func (f *fillsUp) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		f.Release()
	}
	return f.Recorder.Write(p)
}

func TestEndsSoon(t *testing.T) {
	const mb = 1e6
	times := SpoolTimes{Least: 2 * time.Second, Most: 6 * time.Second}
	for _, tt := range []struct {
		name      string
		spent     time.Duration
		got, left int64
		want      bool
	}{
		{"it has begun", time.Millisecond, 1, 1000 * mb, true},
		{"the least", 2*time.Second - 1, 0, 1000 * mb, true},
		{"5 MB at 1 MB/s", 2 * time.Second, 2 * mb, 5 * mb, true},
		{"12 MB at 2 MB/s", 2 * time.Second, 4 * mb, 12 * mb, true},
		{"13 MB at 2 MB/s", 2 * time.Second, 4 * mb, 13 * mb, false},
		{"100 MB at 10 MB/s", 2 * time.Second, 20 * mb, 100 * mb, false},
		{"a drip", 2 * time.Second, 2000, 5 * mb, false},
		{"nothing", 2 * time.Second, 0, 5 * mb, false},
		{"of unknown length", 2 * time.Second, 2 * mb, -1, false},
		{"it slowed down", 5 * time.Second, 4 * mb, 5 * mb, false},
		{"the most", 6 * time.Second, 5*mb - 1, 5 * mb, false},
	} {
		if got := times.endsSoon(tt.spent, tt.got, tt.left); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
