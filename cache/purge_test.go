package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/fsys"
	"pkgedge/cache/policy"
	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

func openedPurges(t *testing.T, dir string) *purges {
	t.Helper()
	p, err := openPurges(fsys.System(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.close() })
	return p
}

func (p *purges) mustAdd(t *testing.T, u Purge) {
	t.Helper()
	if err := p.add(u); err != nil {
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
		{"all", Purge{Scope: ScopeAll}, [5]bool{true, true, true, true, true}},
		{"a site", Purge{Scope: ScopeSite, Site: "s"}, [5]bool{true, true, true, true, false}},
		{"a group", Purge{Scope: ScopeGroup, Site: "s", Name: "a"}, [5]bool{true, true, false, false, false}},
		{"a group's metadata", Purge{Scope: ScopeGroupMetadata, Site: "s", Name: "a"}, [5]bool{true, false, false, false, false}},
		{"a key", Purge{Scope: ScopeKey, Site: "s", Name: "a"}, [5]bool{false, false, false, true, false}},
		{"the nameless group is nobody's", Purge{Scope: ScopeGroup, Site: "s"}, [5]bool{}},
		{"another site", Purge{Scope: ScopeSite, Site: "u"}, [5]bool{}},
	} {
		for soft, mark := range map[bool]policy.Mark{false: policy.MarkedGone, true: policy.MarkedStale} {
			t.Run(fmt.Sprint(tt.rule, " soft=", soft), func(t *testing.T) {
				p := openedPurges(t, "")
				before := p.now()
				tt.purge.Soft = soft
				p.mustAdd(t, tt.purge)
				for i, k := range keys {
					want := policy.NotMarked
					if tt.want[i] {
						want = mark
					}
					if have := p.mark(k, before); have != want {
						t.Errorf("%v born before is %d, want %d", k, have, want)
					}
					if have := p.mark(k, p.now()); have != policy.NotMarked {
						t.Errorf("%v born after is %d", k, have)
					}
				}
			})
		}
	}
}

func TestPurgeHardAndSoft(t *testing.T) {
	p := openedPurges(t, "")
	k := store.Key{Site: "s", ID: "a", Group: "g"}
	var born []uint64
	for _, u := range []Purge{
		{Scope: ScopeKey, Site: "s", Name: "a"},
		{Scope: ScopeKey, Site: "s", Name: "a", Soft: true},
		{Scope: ScopeGroup, Site: "s", Name: "g", Soft: true},
	} {
		born = append(born, p.now())
		p.mustAdd(t, u)
	}
	for i, want := range []policy.Mark{policy.MarkedGone, policy.MarkedStale, policy.MarkedStale} {
		if have := p.mark(k, born[i]); have != want {
			t.Errorf("born before purge %d: %d, want %d: the worst counts", i, have, want)
		}
	}
}

func TestPurgeSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	k := store.Key{Site: "s", ID: "a"}
	p := openedPurges(t, dir)
	first := p.now()
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "a"})
	second := p.now()
	p.mustAdd(t, Purge{Scope: ScopeAll, Soft: true})
	third := p.now()
	p.close()
	for range 3 {
		p = openedPurges(t, dir)
		if p.mark(k, first) != policy.MarkedGone || p.mark(k, second) != policy.MarkedStale || p.mark(k, third) != policy.NotMarked {
			t.Errorf("marks are %d %d %d", p.mark(k, first), p.mark(k, second), p.mark(k, third))
		}
		if p.now() < third {
			t.Errorf("the sequence went back from %d to %d", third, p.now())
		}
		p.close()
	}
	p = openedPurges(t, dir)
	fourth := p.now()
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "a"})
	for _, born := range []uint64{first, second, third, fourth} {
		if p.mark(k, born) != policy.MarkedGone {
			t.Errorf("born %d is not covered by a purge after the restart", born)
		}
	}
}

// A purge that was in force and never reached the disk had a number, and a
// response may have been born with it. That number must not be given again, or
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
				p.mustAdd(t, Purge{Scope: ScopeSite, Site: "other"})
			}
			born := p.now()
			p.close()
			if err := lose(filepath.Join(dir, "purges")); err != nil {
				t.Fatal(err)
			}
			p = openedPurges(t, dir)
			p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "a"})
			if have := p.mark(k, born); have != policy.MarkedGone {
				t.Errorf("mark %d: a response born before the purge is not covered", have)
			}
		})
	}
}

func TestPurgeJournalDamage(t *testing.T) {
	hard := func(name string) string { return `{"seq":%d,"scope":4,"site":"s","name":"` + name + "\"}\n" }
	for _, tt := range []struct {
		rule    string
		journal string
		a, b, z policy.Mark // of the keys a, b and z, born at 0
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
			check := func(p *purges) {
				t.Helper()
				for id, want := range map[string]policy.Mark{"a": tt.a, "b": tt.b, "z": tt.z} {
					if have := p.mark(store.Key{Site: "s", ID: id}, 0); have != want {
						t.Errorf("%s is %d, want %d", id, have, want)
					}
				}
			}
			p := openedPurges(t, dir)
			check(p)
			// What comes after the damage is not lost to it.
			p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "later"})
			p.close()
			p = openedPurges(t, dir)
			check(p)
			if have := p.mark(store.Key{Site: "s", ID: "later"}, 0); have != policy.MarkedGone {
				t.Errorf("a purge after the damage is %d after a restart, want gone", have)
			}
		})
	}
}

func TestPurgeFold(t *testing.T) {
	p := openedPurges(t, "")
	p.limit = 4
	key := func(i int) store.Key { return store.Key{Site: "s", ID: fmt.Sprint(i)} }
	var born []uint64
	for i := range 20 {
		born = append(born, p.now())
		p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: fmt.Sprint(i), Soft: i >= 10})
		if len(p.marks) > p.limit {
			t.Fatalf("%d marks, limit %d", len(p.marks), p.limit)
		}
	}
	for i := range 20 {
		want := policy.MarkedStale
		if i < 10 {
			want = policy.MarkedGone
		}
		if have := p.mark(key(i), born[i]); have < want {
			t.Errorf("purge %d was forgotten: %d", i, have)
		}
	}
	if p.mark(key(99), p.now()) != policy.NotMarked {
		t.Error("what is born now is covered")
	}
	if p.mark(key(99), born[11]) == policy.MarkedGone {
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
		if p.mark(k, last-1) != policy.MarkedGone || p.mark(k, last) != policy.NotMarked || p.now() < last {
			t.Errorf("marks %d %d, sequence %d", p.mark(k, last-1), p.mark(k, last), p.now())
		}
		p.close()
		b, err := os.ReadFile(path)
		if n := strings.Count(string(b), "\n"); err != nil || n != 3+i { // the two marks, and where each edge began
			t.Errorf("%d lines, want %d: %v", n, 3+i, err)
		}
	}
}

// quick is a system that syncs nothing.
func quick() fsys.Calls {
	sys := fsys.System()
	sys.Sync = func(*os.File) error { return nil }
	return sys
}

func TestPurgeJournalIsCompactedWhileRunning(t *testing.T) {
	dir := t.TempDir()
	p, err := openPurges(quick(), dir)
	if err != nil {
		t.Fatal(err)
	}
	born := make(map[string]uint64)
	for range 3 {
		for i := range compactAfter + 200 { // which is beyond what 50 keys are worth
			name := fmt.Sprint(i % 50)
			born[name] = p.now()
			p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: name, Soft: i%3 == 0})
		}
		p.journal.wg.Wait()
		b, err := os.ReadFile(filepath.Join(dir, "purges"))
		if n := strings.Count(string(b), "\n"); err != nil || n > compactAfter/2 {
			t.Errorf("%d lines for 50 keys: %v", n, err)
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	again := openedPurges(t, dir)
	for name, born := range born {
		k := store.Key{Site: "s", ID: name}
		if have, want := again.mark(k, born), p.mark(k, born); have != want || want == policy.NotMarked {
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
	purge := func(p *purges, i int) error {
		return p.add(Purge{Scope: ScopeKey, Site: "s", Name: fmt.Sprint(i)})
	}
	for _, killed := range []bool{false, true} {
		for _, short := range []bool{false, true} {
			for at, more := 1, true; more; at++ {
				f := &faults{at: at, err: syscall.EIO, killed: killed, short: short}
				dir := t.TempDir()
				openedPurges(t, dir).close()
				born := uint64(0)
				acknowledged := make(map[int]bool)
				p, err := openPurges(f.system(), dir)
				if err == nil {
					born = p.now()
					for i := range keys {
						acknowledged[i] = purge(p, i) == nil
						if p.mark(store.Key{Site: "s", ID: fmt.Sprint(i)}, born) != policy.MarkedGone {
							t.Errorf("call %d: purge %d is not in force", at, i)
						}
					}
					p.journal.compactSoon(&p.adding, p.limit)
					p.journal.wg.Wait()
					acknowledged[keys] = purge(p, keys) == nil
					p.close()
				}
				again := openedPurges(t, dir)
				for i, yes := range acknowledged {
					if yes && again.mark(store.Key{Site: "s", ID: fmt.Sprint(i)}, born) != policy.MarkedGone {
						t.Fatalf("call %d, %s: purge %d was acknowledged and is forgotten", at, f.failed, i)
					}
				}
				if again.mark(store.Key{Site: "s", ID: "other"}, born) != policy.NotMarked {
					t.Fatalf("call %d, %s: taken for damage", at, f.failed)
				}
				again.close()
				more = f.failed != ""
			}
		}
	}
}

// Damage is a promise nobody remembers. What was stored since the next purge
// that can be read is not concerned.
func TestPurgeJournalDamageCoversNoMoreThanItMust(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	var born []uint64
	for i := range 4 {
		born = append(born, p.now())
		p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: fmt.Sprint("name", i)})
	}
	after := p.now()
	p.close()
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
		if p.mark(k, born[1]) != policy.MarkedGone || p.mark(store.Key{Site: "s", ID: "name1"}, born[1]) != policy.MarkedGone {
			t.Error("what the lost purge may have covered is there")
		}
		if p.mark(k, born[2]) != policy.NotMarked || p.mark(k, after) != policy.NotMarked {
			t.Error("what was stored after the lost purge is gone")
		}
		p.close()
	}
	b[len(b)-3] ^= 1 // the last whole line
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	p = openedPurges(t, dir)
	if p.mark(k, after) != policy.MarkedGone || p.mark(k, p.now()) != policy.NotMarked {
		t.Error("the last purge is forgotten, or more than what was stored is gone")
	}
}

// The clock may step back between two edges. What the first one stored must
// still be older than the purges of the second.
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
		if p.now() <= ahead || p.mark(k, ahead) != policy.NotMarked {
			t.Errorf("the sequence is %d, and was %d", p.now(), ahead)
		}
		ahead = p.now()
		p.close()
	}
	p := openedPurges(t, dir)
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "a"})
	if p.mark(k, ahead) != policy.MarkedGone {
		t.Error("a purge does not cover what an earlier edge stored")
	}
}

func TestPurgeJournalOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	born := p.now()
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "a"})
	p.close()
	sys := fsys.System()
	sys.Write = func(*os.File, []byte, int64) (int, error) { return 0, syscall.ENOSPC }
	p, err := openPurges(sys, dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.mark(store.Key{Site: "s", ID: "a"}, born) != policy.MarkedGone {
		t.Error("forgotten")
	}
	if err := p.add(Purge{Scope: ScopeAll}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("acknowledged, and not on disk: %v", err)
	}
	p.close()
}

func TestPurgeThatCannotBeWrittenIsInForce(t *testing.T) {
	p := openedPurges(t, t.TempDir())
	before := p.now()
	p.journal.file.Close()
	if err := p.add(Purge{Scope: ScopeAll}); err == nil || !strings.Contains(err.Error(), "in force but not on disk") {
		t.Errorf("got %v", err)
	}
	if p.mark(store.Key{}, before) != policy.MarkedGone {
		t.Error("it is not in force")
	}
}

// A full disk tears a line; what is acknowledged afterwards is not lost to it.
func TestPurgeAfterATornWrite(t *testing.T) {
	dir := t.TempDir()
	p := openedPurges(t, dir)
	before := p.now()
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "a"})
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
	if err := p.add(Purge{Scope: ScopeKey, Site: "s", Name: "b"}); err == nil {
		t.Fatal("written nowhere")
	}
	p.journal.file = journal
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "c"})
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "d"})
	p.close()
	p = openedPurges(t, dir)
	for _, id := range []string{"a", "c", "d"} {
		if have := p.mark(store.Key{Site: "s", ID: id}, before); have != policy.MarkedGone {
			t.Errorf("%s is %d after a restart, want gone", id, have)
		}
	}
}

// Purge, seen from a client.
func TestPurged(t *testing.T) {
	for name, config := range map[string]func(*Config){"memory": memoryOnly, "tiers": nil} {
		t.Run(name+" hard", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, config)
				rule := policy.Rule{Grace: policy.Window{Default: policy.Forever, Min: policy.Forever}, Keep: policy.Window{Default: policy.Forever, Min: policy.Forever}}
				one := query("a", always(200, "one", "Cache-Control: max-age=60", `Etag: "1"`))
				one.Rule = rule
				expect(t, c, one, Missed, "one")
				settle(c)
				expect(t, c, one, Hit, "one")
				if err := c.Purge(Purge{Scope: ScopeGroup, Site: "s", Name: "g"}); err != nil {
					t.Fatal(err)
				}
				down := query("a", failing())
				down.Rule = rule
				if g := get(c, down); g.err == nil {
					t.Errorf("purged, and yet %v", g)
				}
				storetest.Expect(t, c.store, one.Key, 0, nil) // its room is given back
				two := query("a", &counting{fetch: func(_ int, _ context.Context, ask Ask, fill *Fill) error {
					if ask.ETag != "" {
						t.Errorf("validates what is gone: %q", ask.ETag)
					}
					return respond(fill, 200, "two", "Cache-Control: max-age=60")
				}})
				expect(t, c, two, Missed, "two")
				settle(c)
				expect(t, c, two, Hit, "two")
			})
		})
		t.Run(name+" soft", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, config)
				fetches := &counting{fetch: func(n int, _ context.Context, ask Ask, fill *Fill) error {
					if n == 1 {
						return respond(fill, 200, "one", "Cache-Control: max-age=60", `Etag: "1"`)
					}
					if ask.ETag != `"1"` {
						t.Errorf("asked with ETag %q", ask.ETag)
					}
					return fill.Respond(304, policytest.Fields("Cache-Control: max-age=60"), 0)
				}}
				q := query("a", fetches)
				q.Rule.Keep.Default = time.Hour
				expect(t, c, q, Missed, "one")
				settle(c)
				if err := c.Purge(Purge{Scope: ScopeAll, Soft: true}); err != nil {
					t.Fatal(err)
				}
				down := *q
				down.Fetcher = failing()
				expect(t, c, &down, HitError, "one")
				pass(2 * cooling)
				expect(t, c, q, Revalidated, "one")
				settle(c)
				expect(t, c, q, Hit, "one") // the renewed one is not covered any more
				fetches.want(t, 2)
			})
		})
	}
}

func TestPurgeBeatsAFillThatBeganBefore(t *testing.T) {
	for name, config := range map[string]func(*Config){"memory": memoryOnly, "tiers": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, config)
				gate := make(chan struct{})
				origin := &counting{fetch: func(n int, _ context.Context, _ Ask, fill *Fill) error {
					text := "old"
					if n == 1 {
						<-gate // the old bytes were on their way when the purge came
					} else {
						text = "new"
					}
					return respond(fill, 200, text, "Cache-Control: max-age=60")
				}}
				early := make(chan got)
				go func() { early <- get(c, query("a", origin)) }()
				synctest.Wait()
				if err := c.Purge(Purge{Scope: ScopeKey, Site: "s", Name: "a"}); err != nil {
					t.Fatal(err)
				}
				// Whoever comes after the purge does not join the flight from before.
				late := make(chan got, 1)
				go func() { late <- get(c, query("a", origin)) }()
				synctest.Wait()
				select {
				case g := <-late:
					if g.outcome != Missed || g.body != "new" {
						t.Errorf("who came after the purge got %v", g)
					}
				default:
					t.Error("who came after the purge waits for the flight from before")
				}
				close(gate)
				if g := <-early; g.body != "old" {
					t.Errorf("who came before the purge got %v", g)
				}
				settle(c)
				if g := get(c, query("a", origin)); g.body != "new" {
					t.Errorf("after the old fill committed: %v", g)
				}
			})
		})
	}
}

func TestPurgeSurvivesARestartOfTheCache(t *testing.T) {
	dir := t.TempDir()
	origin := always(200, "x", "Cache-Control: max-age=60")
	for i, want := range []Outcome{Missed, Missed, Hit} {
		c, err := Open(Config{Disk: 1 << 20, Dir: dir, MaxObject: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, c, query("a", origin), want, "x")
		settle(c)
		if i == 0 {
			if err := c.Purge(Purge{Scope: ScopeSite, Site: "s"}); err != nil {
				t.Error(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
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
	p, err := openPurges(sys, dir)
	if err != nil {
		t.Fatal(err)
	}
	born := p.now()
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "before"})
	p.journal.compactSoon(&p.adding, p.limit)
	<-begun
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "meanwhile"})
	close(gate)
	p.journal.wg.Wait()
	p.mustAdd(t, Purge{Scope: ScopeKey, Site: "s", Name: "after"})
	p.close()
	p = openedPurges(t, dir)
	for _, id := range []string{"before", "meanwhile", "after"} {
		if p.mark(store.Key{Site: "s", ID: id}, born) != policy.MarkedGone {
			t.Errorf("the purge %s is forgotten", id)
		}
	}
}
