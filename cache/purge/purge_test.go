package purge

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/fsys/fsystest"
	"pkgedge/cache/policy"
	"pkgedge/cache/store"
)

func openedPurges(t *testing.T, dir string) *Sequence {
	t.Helper()
	p, err := Open(fsys.System(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func (p *Sequence) mustAdd(t *testing.T, u Purge) {
	t.Helper()
	if err := p.Add(u); err != nil {
		t.Fatal(err)
	}
}

func TestPurgeScopes(t *testing.T) {
	keys := []store.Key{
		{Site: "s", ID: "packument/a", Group: "a", Metadata: true},
		{Site: "s", ID: "file/a-1", Group: "a"},
		{Site: "s", ID: "file/b-1", Group: "b"},
		{Site: "s", ID: "a"}, // a key named as the group is
		{Site: "t", ID: "packument/a", Group: "a", Metadata: true},
	}
	for _, tt := range []struct {
		rule  string
		purge Purge
		want  [5]bool
	}{
		{"all", Purge{Scope: All}, [5]bool{true, true, true, true, true}},
		{"a site", Purge{Scope: Site, Site: "s"}, [5]bool{true, true, true, true, false}},
		{"a group", Purge{Scope: Group, Site: "s", Name: "a"}, [5]bool{true, true, false, false, false}},
		{"a group's metadata", Purge{Scope: GroupMetadata, Site: "s", Name: "a"}, [5]bool{true, false, false, false, false}},
		{"a key", Purge{Scope: Key, Site: "s", Name: "a"}, [5]bool{false, false, false, true, false}},
		{"the nameless group is nobody's", Purge{Scope: Group, Site: "s"}, [5]bool{}},
		{"another site", Purge{Scope: Site, Site: "u"}, [5]bool{}},
	} {
		for soft, mark := range map[bool]policy.Mark{false: policy.MarkedGone, true: policy.MarkedStale} {
			t.Run(fmt.Sprint(tt.rule, " soft=", soft), func(t *testing.T) {
				p := openedPurges(t, "")
				before := p.Now.Load()
				tt.purge.Soft = soft
				p.mustAdd(t, tt.purge)
				for i, k := range keys {
					want := policy.NotMarked
					if tt.want[i] {
						want = mark
					}
					if have := p.Mark(k, before); have != want {
						t.Errorf("%v from before is %d, want %d", k, have, want)
					}
					if have := p.Mark(k, p.Now.Load()); have != policy.NotMarked {
						t.Errorf("%v from after is %d", k, have)
					}
				}
			})
		}
	}
}

func TestPurgeHardAndSoft(t *testing.T) {
	p := openedPurges(t, "")
	k := store.Key{Site: "s", ID: "a", Group: "g"}
	var epoch []uint64
	for _, u := range []Purge{
		{Scope: Key, Site: "s", Name: "a"},
		{Scope: Key, Site: "s", Name: "a", Soft: true},
		{Scope: Group, Site: "s", Name: "g", Soft: true},
	} {
		epoch = append(epoch, p.Now.Load())
		p.mustAdd(t, u)
	}
	for i, want := range []policy.Mark{policy.MarkedGone, policy.MarkedStale, policy.MarkedStale} {
		if have := p.Mark(k, epoch[i]); have != want {
			t.Errorf("from before purge %d: %d, want %d: the worst counts", i, have, want)
		}
	}
}

func TestPurgeSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	k := store.Key{Site: "s", ID: "a"}
	p := openedPurges(t, dir)
	first := p.Now.Load()
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "a"})
	second := p.Now.Load()
	p.mustAdd(t, Purge{Scope: All, Soft: true})
	third := p.Now.Load()
	p.Close()
	for range 3 {
		p = openedPurges(t, dir)
		if p.Mark(k, first) != policy.MarkedGone || p.Mark(k, second) != policy.MarkedStale || p.Mark(k, third) != policy.NotMarked {
			t.Errorf("marks are %d %d %d", p.Mark(k, first), p.Mark(k, second), p.Mark(k, third))
		}
		if p.Now.Load() < third {
			t.Errorf("the sequence went back from %d to %d", third, p.Now.Load())
		}
		p.Close()
	}
	p = openedPurges(t, dir)
	fourth := p.Now.Load()
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "a"})
	for _, epoch := range []uint64{first, second, third, fourth} {
		if p.Mark(k, epoch) != policy.MarkedGone {
			t.Errorf("epoch %d is not covered by a purge after the restart", epoch)
		}
	}
}

// A purge that was in force and never reached the disk had a number, and a
// response may have it as its epoch. That number must not be given again, or
// the next purge would not cover that response.
func TestPurgeNumbersAreNotGivenTwice(t *testing.T) {
	for name, lose := range map[string]func(journal string) error{
		"journal cut":  func(j string) error { return os.Truncate(j, 0) },
		"journal lost": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			k := store.Key{Site: "s", ID: "a"}
			p := openedPurges(t, dir)
			for range 10 {
				p.mustAdd(t, Purge{Scope: Site, Site: "other"})
			}
			epoch := p.Now.Load()
			p.Close()
			if err := lose(filepath.Join(dir, "purges")); err != nil {
				t.Fatal(err)
			}
			p = openedPurges(t, dir)
			p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "a"})
			if have := p.Mark(k, epoch); have != policy.MarkedGone {
				t.Errorf("mark %d: a response from before the purge is not covered", have)
			}
		})
	}
}

func TestPurgeJournalDamage(t *testing.T) {
	hard := func(name string) string { return `{"seq":%d,"scope":4,"site":"s","name":"` + name + "\"}\n" }
	for _, tt := range []struct {
		rule    string
		journal string
		a, b, z policy.Mark // of the keys a, b and z, of epoch 0
	}{
		{"whole", fmt.Sprintf(hard("a")+hard("b"), 1, 2), policy.MarkedGone, policy.MarkedGone, policy.NotMarked},
		{"a torn last line was never acknowledged", fmt.Sprintf(hard("a"), 1) + `{"seq":2,"sc`, policy.MarkedGone, policy.NotMarked, policy.NotMarked},
		{"a last line that lacks only its end", fmt.Sprintf(hard("a"), 1) + strings.TrimSuffix(fmt.Sprintf(hard("b"), 2), "\n"), policy.MarkedGone, policy.MarkedGone, policy.NotMarked},
		{"zeros after a power cut", fmt.Sprintf(hard("a"), 1) + strings.Repeat("\x00", 100_000), policy.MarkedGone, policy.NotMarked, policy.NotMarked},
		{"damage inside makes everything older gone", fmt.Sprintf(hard("a"), 1) + "{\"seq\":\n" + fmt.Sprintf(hard("b"), 2), policy.MarkedGone, policy.MarkedGone, policy.MarkedGone},
		{"a very long line", fmt.Sprintf(hard(strings.Repeat("x", 200_000)), 1) + fmt.Sprintf(hard("b"), 2), policy.NotMarked, policy.MarkedGone, policy.NotMarked},
		{"empty", "", policy.NotMarked, policy.NotMarked, policy.NotMarked},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "purges"), []byte(tt.journal), 0o600); err != nil {
				t.Fatal(err)
			}
			check := func(p *Sequence) {
				t.Helper()
				for id, want := range map[string]policy.Mark{"a": tt.a, "b": tt.b, "z": tt.z} {
					if have := p.Mark(store.Key{Site: "s", ID: id}, 0); have != want {
						t.Errorf("%s is %d, want %d", id, have, want)
					}
				}
			}
			p := openedPurges(t, dir)
			check(p)
			// Lines after the damage are not lost.
			p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "later"})
			p.Close()
			p = openedPurges(t, dir)
			check(p)
			if have := p.Mark(store.Key{Site: "s", ID: "later"}, 0); have != policy.MarkedGone {
				t.Errorf("a purge after the damage is %d after a restart, want gone", have)
			}
		})
	}
}

func TestPurgeFold(t *testing.T) {
	p := openedPurges(t, "")
	p.limit = 4
	key := func(i int) store.Key { return store.Key{Site: "s", ID: fmt.Sprint(i)} }
	var epoch []uint64
	for i := range 20 {
		epoch = append(epoch, p.Now.Load())
		p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: fmt.Sprint(i), Soft: i >= 10})
		if len(p.marks) > p.limit {
			t.Fatalf("%d marks, limit %d", len(p.marks), p.limit)
		}
	}
	for i := range 20 {
		want := policy.MarkedStale
		if i < 10 {
			want = policy.MarkedGone
		}
		if have := p.Mark(key(i), epoch[i]); have < want {
			t.Errorf("purge %d was forgotten: %d", i, have)
		}
	}
	if p.Mark(key(99), p.Now.Load()) != policy.NotMarked {
		t.Error("a response of now is covered")
	}
	if p.Mark(key(99), epoch[11]) == policy.MarkedGone {
		t.Error("soft purges, folded, made something gone")
	}
}

func TestPurgeJournalIsCompacted(t *testing.T) {
	dir := t.TempDir()
	var journal strings.Builder
	for i := range 2 * compactAfter {
		fmt.Fprintf(&journal, `{"seq":%d,"scope":4,"site":"s","name":"a","soft":%v}`+"\n", i+1, i%2 == 0)
	}
	path := filepath.Join(dir, "purges")
	if err := os.WriteFile(path, []byte(journal.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		p := openedPurges(t, dir)
		k := store.Key{Site: "s", ID: "a"}
		last := uint64(2 * compactAfter)
		if p.Mark(k, last-1) != policy.MarkedGone || p.Mark(k, last) != policy.NotMarked || p.Now.Load() < last {
			t.Errorf("marks %d %d, sequence %d", p.Mark(k, last-1), p.Mark(k, last), p.Now.Load())
		}
		p.Close()
		b, err := os.ReadFile(path)
		if n := strings.Count(string(b), "\n"); err != nil || n != 3+i { // the two marks, and where each edge began
			t.Errorf("%d lines, want %d: %v", n, 3+i, err)
		}
	}
}

func TestPurgeJournalIsCompactedWhileRunning(t *testing.T) {
	dir := t.TempDir()
	p, err := Open(fsystest.Quick(), dir)
	if err != nil {
		t.Fatal(err)
	}
	epoch := make(map[string]uint64)
	for range 3 {
		for i := range compactAfter + 200 { // more lines than 50 keys need
			name := fmt.Sprint(i % 50)
			epoch[name] = p.Now.Load()
			p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: name, Soft: i%3 == 0})
		}
		p.journal.wg.Wait()
		b, err := os.ReadFile(filepath.Join(dir, "purges"))
		if n := strings.Count(string(b), "\n"); err != nil || n > compactAfter/2 {
			t.Errorf("%d lines for 50 keys: %v", n, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	again := openedPurges(t, dir)
	for name, epoch := range epoch {
		k := store.Key{Site: "s", ID: name}
		if have, want := again.Mark(k, epoch), p.Mark(k, epoch); have != want || want == policy.NotMarked {
			t.Errorf("%s is %d after a restart, want %d", name, have, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Whichever call fails, and wherever the edge is killed: a purge that was
// acknowledged is in force after a restart.
func TestPurgeJournalFaults(t *testing.T) {
	const keys = 6
	purge := func(p *Sequence, i int) error {
		return p.Add(Purge{Scope: Key, Site: "s", Name: fmt.Sprint(i)})
	}
	for _, killed := range []bool{false, true} {
		for _, short := range []bool{false, true} {
			for at, more := 1, true; more; at++ {
				f := &fsystest.Faults{FailAt: at, Err: syscall.EIO, Killed: killed, Short: short}
				dir := t.TempDir()
				openedPurges(t, dir).Close()
				epoch := uint64(0)
				acknowledged := make(map[int]bool)
				p, err := Open(f.Calls(), dir)
				if err == nil {
					epoch = p.Now.Load()
					for i := range keys {
						acknowledged[i] = purge(p, i) == nil
						if p.Mark(store.Key{Site: "s", ID: fmt.Sprint(i)}, epoch) != policy.MarkedGone {
							t.Errorf("call %d: purge %d is not in force", at, i)
						}
					}
					p.journal.compactSoon(&p.adding, p.limit)
					p.journal.wg.Wait()
					acknowledged[keys] = purge(p, keys) == nil
					p.Close()
				}
				again := openedPurges(t, dir)
				for i, yes := range acknowledged {
					if yes && again.Mark(store.Key{Site: "s", ID: fmt.Sprint(i)}, epoch) != policy.MarkedGone {
						t.Fatalf("call %d, %s: purge %d was acknowledged and is forgotten", at, f.Failed, i)
					}
				}
				if again.Mark(store.Key{Site: "s", ID: "other"}, epoch) != policy.NotMarked {
					t.Fatalf("call %d, %s: taken for damage", at, f.Failed)
				}
				again.Close()
				more = f.Failed != ""
			}
		}
	}
}

// A damaged line is a lost purge. Responses stored since the next readable purge stay.
func TestPurgeJournalDamageCoversNoMoreThanItMust(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	var epoch []uint64
	for i := range 4 {
		epoch = append(epoch, p.Now.Load())
		p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: fmt.Sprint("name", i)})
	}
	after := p.Now.Load()
	p.Close()
	path := filepath.Join(dir, "purges")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("name1")) // still JSON, and another name
	b[at+4] = '7'
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	k := store.Key{Site: "s", ID: "other"}
	for range 2 {
		p = openedPurges(t, dir)
		if p.Mark(k, epoch[1]) != policy.MarkedGone || p.Mark(store.Key{Site: "s", ID: "name1"}, epoch[1]) != policy.MarkedGone {
			t.Error("what the lost purge may have covered is there")
		}
		if p.Mark(k, epoch[2]) != policy.NotMarked || p.Mark(k, after) != policy.NotMarked {
			t.Error("what was stored after the lost purge is gone")
		}
		p.Close()
	}
	b[len(b)-3] ^= 1 // the last whole line
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	p = openedPurges(t, dir)
	if p.Mark(k, after) != policy.MarkedGone || p.Mark(k, p.Now.Load()) != policy.NotMarked {
		t.Error("the last purge is forgotten, or more than what was stored is gone")
	}
}

// The clock may step back between two edges. Responses of the first one must still be older
// than the purges of the second.
func TestPurgeSequenceOutlivesTheClock(t *testing.T) {
	dir := t.TempDir()
	ahead := uint64(time.Now().Add(24 * time.Hour).UnixNano())
	line := journalLine{Seq: ahead, Start: true}.encode()
	if err := os.WriteFile(filepath.Join(dir, "purges"), line, 0o600); err != nil {
		t.Fatal(err)
	}
	k := store.Key{Site: "s", ID: "a"}
	for range 3 {
		p := openedPurges(t, dir)
		if p.Now.Load() <= ahead || p.Mark(k, ahead) != policy.NotMarked {
			t.Errorf("the sequence is %d, and was %d", p.Now.Load(), ahead)
		}
		ahead = p.Now.Load()
		p.Close()
	}
	p := openedPurges(t, dir)
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "a"})
	if p.Mark(k, ahead) != policy.MarkedGone {
		t.Error("a purge does not cover what an earlier edge stored")
	}
}

func TestPurgeJournalOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	epoch := p.Now.Load()
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "a"})
	p.Close()
	sys := fsys.System()
	sys.Write = func(*os.File, []byte, int64) (int, error) { return 0, syscall.ENOSPC }
	p, err := Open(sys, dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.Mark(store.Key{Site: "s", ID: "a"}, epoch) != policy.MarkedGone {
		t.Error("forgotten")
	}
	if err := p.Add(Purge{Scope: All}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("acknowledged, and not on disk: %v", err)
	}
	p.Close()
}

func TestPurgeThatCannotBeWrittenIsInForce(t *testing.T) {
	p := openedPurges(t, t.TempDir())
	before := p.Now.Load()
	p.journal.file.Close()
	if err := p.Add(Purge{Scope: All}); err == nil || !strings.Contains(err.Error(), "in force but not on disk") {
		t.Errorf("got %v", err)
	}
	if p.Mark(store.Key{}, before) != policy.MarkedGone {
		t.Error("it is not in force")
	}
}

// A full disk tears a line. Purges that are acknowledged afterwards are not lost.
func TestPurgeAfterATornWrite(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	before := p.Now.Load()
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "a"})
	journal := p.journal.file
	if _, err := journal.WriteString(`{"seq":`); err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open(os.DevNull) // not for writing
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	p.journal.file = closed
	if err := p.Add(Purge{Scope: Key, Site: "s", Name: "b"}); err == nil {
		t.Fatal("written nowhere")
	}
	p.journal.file = journal
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "c"})
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "d"})
	p.Close()
	p = openedPurges(t, dir)
	for _, id := range []string{"a", "c", "d"} {
		if have := p.Mark(store.Key{Site: "s", ID: id}, before); have != policy.MarkedGone {
			t.Errorf("%s is %d after a restart, want gone", id, have)
		}
	}
}

// A purge that comes while the journal is rewritten is in the new one too.
func TestPurgeDuringACompaction(t *testing.T) {
	dir := t.TempDir()
	sys := fsys.System()
	begun, gate := make(chan struct{}), make(chan struct{})
	sys.Open = func(path string, flag int) (*os.File, error) {
		if strings.HasSuffix(path, ".new") {
			close(begun)
			<-gate
		}
		return os.OpenFile(path, flag, 0o600)
	}
	p, err := Open(sys, dir)
	if err != nil {
		t.Fatal(err)
	}
	epoch := p.Now.Load()
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "before"})
	p.journal.compactSoon(&p.adding, p.limit)
	<-begun
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "meanwhile"})
	close(gate)
	p.journal.wg.Wait()
	p.mustAdd(t, Purge{Scope: Key, Site: "s", Name: "after"})
	p.Close()
	p = openedPurges(t, dir)
	for _, id := range []string{"before", "meanwhile", "after"} {
		if p.Mark(store.Key{Site: "s", ID: id}, epoch) != policy.MarkedGone {
			t.Errorf("the purge %s is forgotten", id)
		}
	}
}
