package vault

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/lease"
	"pkgedge/edge/fleet/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call bounds a call in tests: a busy machine needs no more, and an absent server costs as much.
const call = 3 * time.Second

const secret = "a secret of all edges, long enough to be one"

// edge returns the vault of an edge. A lock lasts for 2 s: servers know whole seconds.
func edge(t *testing.T, c *natstest.Cluster, name, seal string) (*Vault, jetstream.JetStream) {
	t.Helper()
	_, js := c.Connect()
	v, err := New(Config{
		Engine: func(context.Context) (jetstream.JetStream, error) { return js, nil }, Name: name, Seal: seal,
		Note: func(string, error) {}, Lock: 2 * time.Second, Call: call,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, js
}

// fleet returns two edges of a fleet.
func fleet(t *testing.T) (a, b *Vault, js jetstream.JetStream, c *natstest.Cluster) {
	t.Helper()
	c = natstest.Start(t, 1)
	a, js = edge(t, c, "a", secret)
	b, _ = edge(t, c, "b", secret)
	for _, want := range []bool{true, false} {
		if made, err := Init(t.Context(), js, 1); err != nil || made != want {
			t.Fatal(made, err)
		}
	}
	if _, err := lease.Init(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	return a, b, js, c
}

const (
	crt  = "certificates/acme.example-directory/a.example/a.example.crt"
	key  = "certificates/acme.example-directory/a.example/a.example.key"
	user = "acme/acme.example-directory/users/me+x@a.example/me.json"
)

// A value that one edge stores is there for the others, and it is as certmagic asks of a storage.
func TestAValueIsThereForAll(t *testing.T) {
	a, b, js, _ := fleet(t)
	ctx := t.Context()
	for _, k := range []string{crt, user} {
		if _, err := b.Load(ctx, k); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v before it is stored", k, err)
		}
		if _, err := b.Stat(ctx, k); !errors.Is(err, fs.ErrNotExist) || b.Exists(ctx, k) {
			t.Errorf("%s: %v before it is stored", k, err)
		}
	}
	if _, err := b.List(ctx, "certificates", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty list: %v", err)
	}
	for k, v := range map[string]string{crt: "old", key: "private", user: ""} {
		if err := a.Store(ctx, k, []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Store(ctx, crt, []byte("new")); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{crt: "new", key: "private", user: ""} {
		if v, err := b.Load(ctx, k); err != nil || string(v) != want {
			t.Errorf("%s: %q, %v", k, v, err)
		}
		i, err := b.Stat(ctx, k)
		if err != nil || i.Key != k || i.Size != int64(len(want)) || !i.IsTerminal || time.Since(i.Modified) > time.Hour {
			t.Errorf("%+v, %v", i, err)
		}
	}
	if i, err := b.Stat(ctx, "certificates"); err != nil || i.IsTerminal || !b.Exists(ctx, "certificates") || b.Exists(ctx, "certificate") {
		t.Errorf("a directory: %+v, %v", i, err)
	}
	for _, tt := range []struct {
		path      string
		recursive bool
		want      []string
	}{
		{"certificates", false, []string{"certificates/acme.example-directory"}},
		{"certificates/acme.example-directory/a.example", false, []string{crt, key}},
		{"certificates", true, []string{crt, key}},
		{"", true, []string{user, crt, key}},
	} {
		got, err := b.List(ctx, tt.path, tt.recursive)
		if slices.Sort(got); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q, recursive %t: %q, %v", tt.path, tt.recursive, got, err)
		}
	}
	// The servers have neither text.
	kv, err := js.KeyValue(ctx, Bucket)
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(ctx, escape(key))
	if err != nil || strings.Contains(string(e.Value()), "private") {
		t.Errorf("%q, %v", e.Value(), err)
	}
	for range 2 { // the second time they are gone
		if err := b.Delete(ctx, "certificates/acme.example-directory/a.example"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Load(ctx, crt); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its end: %v", err)
	}
	if !a.Exists(ctx, user) {
		t.Error("another one is gone")
	}
}

// A value that another secret has sealed, that was changed, or that stands under another name is
// no value, and does not look as if there were none: else it would be obtained anew and again.
func TestASealHolds(t *testing.T) {
	a, _, js, c := fleet(t)
	ctx := t.Context()
	if err := a.Store(ctx, key, []byte("private")); err != nil {
		t.Fatal(err)
	}
	other, _ := edge(t, c, "other", secret+"!")
	kv, err := js.KeyValue(ctx, Bucket)
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(ctx, escape(key))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(v *Vault, name, why string) {
		t.Helper()
		if value, err := v.Load(ctx, name); !errors.Is(err, errSeal) || errors.Is(err, fs.ErrNotExist) || value != nil {
			t.Errorf("%s: %q, %v", why, value, err)
		}
	}
	expect(other, key, "another secret")
	for at := range e.Value() {
		if at%7 != 0 {
			continue
		}
		changed := slices.Clone(e.Value())
		changed[at] ^= 1
		if _, err := kv.Put(ctx, escape(key), changed); err != nil {
			t.Fatal(err)
		}
		expect(a, key, "a changed byte")
	}
	for name, value := range map[string][]byte{key: {}, crt: e.Value(), user: e.Value()[:20]} {
		if _, err := kv.Put(ctx, escape(name), value); err != nil {
			t.Fatal(err)
		}
		expect(a, name, "under another name, or cut")
	}
}

// One edge has a lock at a time. It is renewed for as long as it is held, and goes to another edge
// when it is given back, or some time after its edge was cut off.
func TestOneEdgeHasALock(t *testing.T) {
	t.Parallel()
	a, b, js, _ := fleet(t)
	ctx := t.Context()
	if err := a.Lock(ctx, "issue_cert_a.example"); err != nil {
		t.Fatal(err)
	}
	if got, err := b.TryLock(ctx, "issue_cert_a.example"); got || err != nil { // it tries for longer than a lock lasts
		t.Fatalf("two have it: %t, %v", got, err)
	}
	if err := b.Unlock(ctx, "issue_cert_a.example"); err == nil {
		t.Error("a lock of another edge was given back")
	}
	if got, err := b.TryLock(ctx, "issue_cert_b.example"); !got || err != nil {
		t.Errorf("another lock: %t, %v", got, err)
	}
	limited, cancel := context.WithCancel(ctx)
	cancel()
	if err := b.Lock(limited, "issue_cert_a.example"); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is given up: %v", err)
	}
	waits := make(chan error, 1)
	go func() { waits <- b.Lock(ctx, "issue_cert_a.example") }()
	if err := a.Unlock(ctx, "issue_cert_a.example"); err != nil {
		t.Fatal(err)
	}
	if err := edgetest.Receive(t, waits, "the lock"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"issue_cert_a.example", "issue_cert_b.example"} {
		if err := b.Unlock(ctx, name); err != nil {
			t.Error(err)
		}
	}
	if err := a.Lock(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	js.Conn().Close() // without a word
	if err := b.Lock(ctx, "c"); err != nil {
		t.Error(err)
	}
	_, _ = a.Unlock(ctx, "c"), b.Unlock(ctx, "c")
}

// Without its servers no call takes long, and none says that a key does not exist.
func TestTheServersAreAway(t *testing.T) {
	a, _, _, c := fleet(t)
	ctx, cancel := context.WithTimeout(t.Context(), edgetest.Patience)
	defer cancel()
	if err := a.Store(ctx, crt, []byte("x")); err != nil {
		t.Fatal(err)
	}
	c.Kill(0)
	a.cfg.Call = 100 * time.Millisecond
	if _, err := a.Load(ctx, crt); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load: %v", err)
	}
	if a.Exists(ctx, crt) {
		t.Error("it exists")
	}
	if _, err := a.TryLock(ctx, "x"); ctx.Err() != nil {
		t.Errorf("TryLock: %v", err)
	}
	never, err := New(Config{Engine: func(ctx context.Context) (jetstream.JetStream, error) { <-ctx.Done(); return nil, ctx.Err() }, Seal: secret, Call: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := never.Store(ctx, crt, nil); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("never connected: %v", err)
	}
	if err := never.Lock(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("never connected: %v", err)
	}
}

func TestNoBucketNamesTheCure(t *testing.T) {
	c := natstest.Start(t, 1)
	a, _ := edge(t, c, "a", secret)
	if err := a.Store(t.Context(), crt, nil); err == nil || !strings.Contains(err.Error(), "edge fleet init") {
		t.Error(err)
	}
}

func FuzzNames(f *testing.F) {
	for _, k := range []string{crt, user, "", "=", "=2e", "a=", "ä..b", "\x00"} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, k string) {
		if back, ok := unescape(escape(k)); !ok || back != k {
			t.Errorf("%q became %q", k, back)
		}
		if back, ok := unescape(k); ok && escape(back) != k {
			t.Errorf("%q has two names", back)
		}
	})
}
