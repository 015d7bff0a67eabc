package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pkgedge/cache/policy/policytest"
	"pkgedge/cache/store"
	"pkgedge/cache/store/storetest"
)

// hold makes a held response of one part for each variant.
func hold(fill *Fill, parts map[string]string) error {
	return holdWith(fill, parts, "Cache-Control: max-age=60")
}

// holdWith makes one with those fields.
func holdWith(fill *Fill, parts map[string]string, lines ...string) error {
	if err := fill.RespondWhole(200, policytest.Fields(lines...), len(parts)); err != nil {
		return err
	}
	for _, variant := range slices.Sorted(maps.Keys(parts)) {
		name, encoding, _ := strings.Cut(variant, "/")
		if err := fill.Part(name, "type/"+name, encoding); err != nil {
			return err
		}
		for piece := range slices.Chunk([]byte(parts[variant]), 1000) {
			if _, err := fill.Write(piece); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestHeldIsReleasedWhenItIsWhole(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		gate := make(chan struct{})
		origin := &counting{fetch: func(_ int, _ context.Context, _ FetchRequest, fill *Fill) error {
			err := hold(fill, map[string]string{"full": "all of it", "abbreviated": "less"})
			<-gate
			return err
		}}
		full, brief := query("a", origin), query("a", origin)
		full.Variant, brief.Variant = "full", "abbreviated"
		answered := make(chan struct{})
		wait := clients(c, 10, func(i int) *Query { return []*Query{full, brief}[i%2] })
		go func() {
			defer close(answered) // the test ends after it, or its file would still be open
			get(c, full)
		}()
		synctest.Wait()
		select {
		case <-answered:
			t.Fatal("answered before the response was whole")
		default:
		}
		storetest.Expect(t, c.store, full.Key, 0, nil)
		close(gate)
		for i, g := range wait() {
			if want := []string{"all of it", "less"}[i%2]; g.body != want || g.err != nil {
				t.Errorf("got %v, want %q", g, want)
			}
		}
		<-answered
		origin.want(t, 1)
		settle(c)
		expect(t, c, full, Hit, "all of it")
		expect(t, c, brief, Hit, "less")
	})
}

func TestHeldThatFailsIsSeenByNobody(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			return errors.Join(hold(fill, map[string]string{"": "wrong"}), errOrigin)
		}))
		if g := get(c, q); !errors.Is(g.err, errOrigin) {
			t.Errorf("got %v, want the origin's error", g)
		}
		settle(c)
		storetest.Expect(t, c.store, q.Key, 0, nil)
	})
}

// RFC 9110 section 7.7: the origin's directive forbids codings that it did not
// choose, also where a 304 brings it.
func TestNoTransformIsAnsweredInTheIdentityCoding(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		says := "Cache-Control: max-age=60"
		origin := fetch(func(_ context.Context, ask FetchRequest, fill *Fill) error {
			if ask.ETag != "" {
				return fill.Respond(304, policytest.Fields(says), 0)
			}
			return holdWith(fill, map[string]string{"full/": "plain", "full/gzip": "small", "full/zstd": "tiny"}, says, `Etag: "1"`)
		})
		q := query("a", origin)
		q.Variant, q.Accept = "full", Gzip|Zstd
		expect(t, c, q, Missed, "tiny")
		for _, tt := range []struct{ control, want string }{
			{"max-age=60, no-transform", "plain"}, {"max-age=60", "tiny"}, {"no-transform, max-age=60", "plain"},
		} {
			settle(c)
			pass(2 * time.Minute)
			says = "Cache-Control: " + tt.control
			expect(t, c, q, Revalidated, tt.want)
			settle(c)
			expect(t, c, q, Hit, tt.want)
		}
		says = "Cache-Control: max-age=60, no-transform"
		q = query("b", origin)
		q.Variant, q.Accept = "full", Gzip
		expect(t, c, q, Missed, "plain")
		settle(c)
		expect(t, c, q, Hit, "plain")
	})
}

func TestHeldParts(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		parts := map[string]string{
			"full/": strings.Repeat("full ", 4000), "full/gzip": strings.Repeat("fg", 4000), "full/zstd": strings.Repeat("fz", 3000),
			"abbreviated/": strings.Repeat("abbr ", 2000), "abbreviated/gzip": strings.Repeat("ag", 2000), "abbreviated/zstd": "",
		}
		origin := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error { return hold(fill, parts) })
		for round := range 2 { // live, and then stored
			tags := make(map[string]bool)
			for _, tt := range []struct {
				variant string
				accept  Encoding
				want    string
			}{
				{"full", 0, "full/"}, {"full", Gzip, "full/gzip"}, {"full", Zstd, "full/zstd"}, {"full", Gzip | Zstd, "full/zstd"},
				{"abbreviated", 0, "abbreviated/"}, {"abbreviated", Gzip | Zstd, "abbreviated/zstd"},
			} {
				q := query("a", origin)
				q.Variant, q.Accept = tt.variant, tt.accept
				a, err := c.Get(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				text, err := body(a)
				if err != nil || text != parts[tt.want] {
					t.Errorf("round %d: %q with %d gives %d bytes and %v, want %s", round, tt.variant, tt.accept, len(text), err, tt.want)
				}
				if a.Part.ContentType != "type/"+tt.variant || a.Part.Size != int64(len(text)) {
					t.Errorf("round %d: part %+v", round, a.Part)
				}
				tags[a.Part.ETag] = true
				a.Close()
			}
			if len(tags) != 5 || tags[""] {
				t.Errorf("round %d: %d entity tags for 5 representations", round, len(tags))
			}
			settle(c)
		}
		q := query("a", failing())
		q.Variant = "other"
		if g := get(c, q); !errors.Is(g.err, errNoVariant) {
			t.Errorf("a variant that is not there: %v", g)
		}
	})
}

// A held response goes on in memory when the store fails under it.
func TestHeldThatNoTierTakes(t *testing.T) {
	for name, config := range map[string]func(*Config){
		"larger than MaxObject":         tooLarge,
		"larger than the memory takes":  memoryOnly,
		"larger than the disk may hold": func(cfg *Config) { cfg.Disk = 1 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := opened(t, config)
				one, two := string(storetest.Payload(1, 700_000)), string(storetest.Payload(2, 900_000))
				origin := fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
					return hold(fill, map[string]string{"abbreviated": one, "full": two})
				})
				for variant, want := range map[string]string{"abbreviated": one, "full": two} {
					q := query("a", origin)
					q.Variant = variant
					expect(t, c, q, Missed, want)
					settle(c)
				}
				storetest.Expect(t, c.store, store.Key{Site: "s", ID: "a"}, 0, nil)
			})
		})
	}
}

func TestHeldThatIsNotToBeStored(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			return hold(fill, map[string]string{"": "mine"})
		}))
		q.Request.Control.NoStore = true
		expect(t, c, q, Missed, "mine")
		settle(c)
		storetest.Expect(t, c.store, q.Key, 0, nil)
	})
}

func TestRespondSetsWhatIsMissing(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", always(200, "x", "Cache-Control: max-age=60", "Connection: X-Hop", "X-Hop: 1", "Content-Encoding: gzip"))
		for _, want := range []Outcome{Missed, Hit} {
			a, err := c.Get(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if a.Outcome != want || a.Header.Get("Date") == "" || a.Header.Get("X-Hop") != "" || a.Part.Encoding != "gzip" || a.Part.Size != 1 {
				t.Errorf("%v: %v %+v", a.Outcome, a.Header, a.Part)
			}
			if a.Kept != (want == Missed) || (a.Forward == "") != (want == Hit) || a.TTL != time.Minute {
				t.Errorf("%v: kept %v, forward %q, TTL %v", a.Outcome, a.Kept, a.Forward, a.TTL)
			}
			a.Close()
			settle(c)
		}
	})
}

func TestRespondWithoutContent(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		q := query("a", fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
			return fill.Respond(204, policytest.Fields("Cache-Control: max-age=60"), -1)
		}))
		expect(t, c, q, Missed, "")
		settle(c)
		expect(t, c, q, Hit, "")
	})
}

func TestBodyFromAnOffset(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		for id, n := range map[string]int{"small": 1000, "large": 400_000} {
			text := string(storetest.Payload(n, n))
			q := query(id, always(200, text, "Cache-Control: max-age=60"))
			for range 2 { // live, and then stored
				a, err := c.Get(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, off := range []int{0, 1, n / 2, n - 1, n, 3} {
					r, err := a.Body(t.Context(), int64(off))
					if err != nil {
						t.Fatal(err)
					}
					b, err := io.ReadAll(io.LimitReader(r, int64(n-off)))
					if err != nil || string(b) != text[off:] {
						t.Errorf("%v %s from %d: %d bytes and %v", a.Outcome, id, off, len(b), err)
					}
				}
				if b, ok := a.Bytes(); ok && string(b) != text {
					t.Errorf("%d other bytes", len(b))
				}
				a.Close()
				a.Close() // harmless
				settle(c)
			}
		}
		a, err := c.Get(t.Context(), query("small", failing()))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if b, ok := a.Bytes(); !ok || len(b) != 1000 || a.Live() {
			t.Error("a small stored response is not in memory")
		}
	})
}

func TestPutStores(t *testing.T) {
	both(t, func(t *testing.T, c *Cache) {
		if err := c.Put(t.Context(), query("a", always(200, "x", "Cache-Control: max-age=60"))); err != nil {
			t.Fatal(err)
		}
		settle(c)
		expect(t, c, query("a", failing()), Hit, "x")
		if err := c.Put(t.Context(), query("b", failing())); !errors.Is(err, errOrigin) {
			t.Errorf("got %v, want the origin's error", err)
		}
	})
}

func TestPutOfWhatNoTierTakes(t *testing.T) {
	windowed(t, func(t *testing.T, c *Cache, l *large) {
		if err := c.Put(t.Context(), query("a", l)); err == nil {
			t.Error("stored nowhere, and no error")
		}
	})
}

func TestRestartKeepsTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		text := map[string]string{"small": "x", "large": string(storetest.Payload(1, 300_000)), "held": "held"}
		from := func(id string) Fetcher {
			if id == "held" {
				return fetch(func(_ context.Context, _ FetchRequest, fill *Fill) error {
					return hold(fill, map[string]string{"": text[id]})
				})
			}
			return always(200, text[id], "Cache-Control: max-age=60", "X-A: 1")
		}
		for round := range 3 {
			c, err := Open(Config{Disk: 8 << 20, Dir: dir, MaxObject: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			for id := range text {
				q := query(id, from(id))
				if round > 0 {
					expect(t, c, query(id, failing()), Hit, text[id])
					continue
				}
				expect(t, c, q, Missed, text[id])
			}
			settle(c)
			if u := c.Usage(); u.DiskObjects != 3 || u.ScanPercent != 100 || u.DiskBytes < 300_000 || u.Corrupt != 0 {
				t.Errorf("round %d: %+v", round, u)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestRestartKeepsAFreshening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		origin := &counting{fetch: func(n int, _ context.Context, _ FetchRequest, fill *Fill) error {
			if n == 1 {
				return respond(fill, 200, "x", "Cache-Control: max-age=60", `Etag: "1"`)
			}
			return fill.Respond(304, policytest.Fields("Cache-Control: max-age=3600", fmt.Sprint("X-Round: ", n)), 0)
		}}
		for round, want := range []Outcome{Missed, Revalidated, Hit} {
			c, err := Open(Config{Disk: 8 << 20, Dir: dir, MaxObject: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, c, query("a", origin), want, "x")
			settle(c)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if round == 0 {
				pass(2 * time.Minute)
			}
		}
		origin.want(t, 2)
	})
}

func TestCorruptIsFetchedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		text := string(storetest.Payload(1, 2000))
		origin := always(200, text, "Cache-Control: max-age=60")
		for round, want := range []Outcome{Missed, Missed, Hit} {
			var told error
			c, err := Open(Config{Disk: 8 << 20, Dir: dir, MaxObject: 1 << 20, Notify: func(_ string, err error) { told = err }})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, c, query("a", origin), want, text)
			settle(c)
			if corrupt := c.Usage().Corrupt; (corrupt == 1) != (round == 1) || (told == nil) != (round != 1) {
				t.Errorf("round %d: %d corrupt, told %v", round, corrupt, told)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if round == 0 {
				all, err := filepath.Glob(filepath.Join(dir, "objects", "*", "*"))
				if err != nil || len(all) != 1 {
					t.Fatal(all, err)
				}
				storetest.Flip(t, all[0], -1)
			}
		}
	})
}

func TestOpenRefusesABadDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "purges"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and releases its reserved bytes
		if _, err := Open(Config{Disk: 1 << 20, Dir: dir}); err == nil || strings.Contains(err.Error(), "in use") {
			t.Errorf("got %v, want an error about the purges", err)
		}
	}
}
