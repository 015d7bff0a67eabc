package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/nats-io/nats.go/jetstream"

	"pkgedge/edge/fleet/bucket"
	"pkgedge/edge/fleet/lease"
)

// Bucket is the name of the bucket.
const Bucket = "EDGE_TLS"

// callFor bounds each call to the servers, also while there is no connection with them.
const callFor = 3 * time.Second

// Init makes the bucket, where there is none. An edge never calls it.
func Init(ctx context.Context, js jetstream.JetStream, replicas int) (made bool, err error) {
	return bucket.Make(ctx, js, jetstream.KeyValueConfig{
		Bucket: Bucket, Description: "Sealed certificates of a fleet of edges, made by edge fleet init", Replicas: replicas,
	})
}

// Config says where a vault is.
type Config struct {
	// Engine returns the servers, and waits for a connection until ctx is done.
	Engine func(ctx context.Context) (jetstream.JetStream, error)
	Name   string                      // of this edge, which holds its locks
	Seal   string                      // the secret of all edges
	Note   func(event string, e error) // is told why a lock cannot be had

	// For tests, 0 for the usual ones: how long a lock lasts whose edge is gone, and a call.
	Lock, Call time.Duration
}

// Vault is a [certmagic.Storage] of all edges. It is safe for concurrent use. An error that is
// no [fs.ErrNotExist] says nothing about a key: the servers may be away.
type Vault struct {
	cfg  Config
	seal sealer

	mu   sync.Mutex
	held map[string]func() // releases a lock of this edge; bounded by the names of certificates
}

var _ interface {
	certmagic.Storage
	certmagic.TryLocker
} = (*Vault)(nil)

// New returns a Vault. It asks no server.
func New(cfg Config) (*Vault, error) {
	s, err := newSealer(cfg.Seal)
	if err != nil {
		return nil, fmt.Errorf("fleet.seal: %w", err)
	}
	cfg.Call = cmp.Or(cfg.Call, callFor)
	return &Vault{cfg: cfg, seal: s, held: make(map[string]func())}, nil
}

// call does something with the bucket.
func (v *Vault) call(ctx context.Context, key string, do func(context.Context, jetstream.KeyValue) error) error {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Call)
	defer cancel()
	js, err := v.cfg.Engine(ctx)
	if err == nil {
		var kv jetstream.KeyValue
		if kv, err = js.KeyValue(ctx, Bucket); err == nil {
			err = do(ctx, kv)
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		return fs.ErrNotExist
	case errors.Is(err, jetstream.ErrBucketNotFound):
		err = fmt.Errorf("%w: edge fleet init makes it", err)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the fleet's certificates: %s: %w", key, err)
	}
	return err
}

// Store keeps a value.
func (v *Vault) Store(ctx context.Context, key string, value []byte) error {
	return v.call(ctx, key, func(ctx context.Context, kv jetstream.KeyValue) error {
		_, err := kv.Put(ctx, escape(key), v.seal.seal(key, value))
		return err
	})
}

// Load returns a value.
func (v *Vault) Load(ctx context.Context, key string) (value []byte, err error) {
	err = v.call(ctx, key, func(ctx context.Context, kv jetstream.KeyValue) error {
		e, err := kv.Get(ctx, escape(key))
		if err != nil {
			return err
		}
		value, err = v.seal.open(key, e.Value())
		return err
	})
	return value, err
}

// Delete forgets a value, and all below it.
func (v *Vault) Delete(ctx context.Context, key string) error {
	return v.call(ctx, key, func(ctx context.Context, kv jetstream.KeyValue) error {
		all, err := v.below(ctx, kv, key)
		if err != nil {
			return err
		}
		for _, k := range all {
			if err := kv.Delete(ctx, escape(k)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Exists says whether there is a value, or one below it. It says no while the servers are away.
func (v *Vault) Exists(ctx context.Context, key string) bool {
	_, err := v.Stat(ctx, key)
	return err == nil
}

// List returns the keys below a path, or, not recursive, the next parts of their names.
func (v *Vault) List(ctx context.Context, path string, recursive bool) (list []string, err error) {
	err = v.call(ctx, path, func(ctx context.Context, kv jetstream.KeyValue) error {
		all, err := v.below(ctx, kv, path)
		seen := make(map[string]bool)
		for _, k := range all {
			if rest := strings.TrimPrefix(strings.TrimPrefix(k, path), "/"); !recursive {
				next, _, _ := strings.Cut(rest, "/")
				k = strings.TrimSuffix(k, rest) + next
			}
			if k != path && !seen[k] {
				seen[k] = true
				list = append(list, k)
			}
		}
		if err == nil && len(list) == 0 {
			err = fs.ErrNotExist
		}
		return err
	})
	return list, err
}

// Stat describes a key.
func (v *Vault) Stat(ctx context.Context, key string) (info certmagic.KeyInfo, err error) {
	info.Key = key
	err = v.call(ctx, key, func(ctx context.Context, kv jetstream.KeyValue) error {
		e, err := kv.Get(ctx, escape(key))
		if err == nil {
			info.Modified, info.Size, info.IsTerminal = e.Created(), v.seal.size(len(e.Value())), true
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyNotFound) {
			return err
		}
		all, err := v.below(ctx, kv, key)
		if err == nil && len(all) == 0 {
			err = fs.ErrNotExist
		}
		return err
	})
	return info, err
}

// below lists the keys that are path or below it. They are few: three files of each certificate,
// an account, the challenges under way.
func (v *Vault) below(ctx context.Context, kv jetstream.KeyValue, path string) (all []string, err error) {
	l, err := kv.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Stop() }()
	for k := range l.Keys() {
		if name, ok := unescape(k); ok && (path == "" || name == path || strings.HasPrefix(name, path+"/")) {
			all = append(all, name)
		}
	}
	return all, ctx.Err() // the end of a list that is cut short looks like its end
}

// Lock takes the lock of a name, and waits for it until ctx is done.
func (v *Vault) Lock(ctx context.Context, name string) error {
	js, err := v.engine(ctx)
	if err != nil {
		return fmt.Errorf("the fleet's certificates: cannot lock %s: %w", name, err)
	}
	running, stop := context.WithCancel(context.Background())
	got, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var once sync.Once
		last := ""
		note := func(err error) { // of each attempt
			if text := err.Error(); text != last {
				last = text
				v.cfg.Note("cannot lock "+name, err)
			}
		}
		h := lease.Holder{JS: js, Key: "tls." + name, Name: v.cfg.Name, For: v.cfg.Lock, Note: note}
		h.Run(running, func(held context.Context) {
			once.Do(func() { close(got) }) // a lease that was lost is taken again, if it is free
			<-held.Done()
		})
	}()
	release := func() { stop(); <-ended }
	select {
	case <-got:
	case <-ctx.Done():
		release()
		return ctx.Err()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held[name] = release
	return nil
}

func (v *Vault) engine(ctx context.Context) (jetstream.JetStream, error) {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Call)
	defer cancel()
	return v.cfg.Engine(ctx)
}

// TryLock takes the lock of a name unless another edge has it.
func (v *Vault) TryLock(ctx context.Context, name string) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, v.cfg.Call)
	defer cancel()
	err := v.Lock(limited, name)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return false, nil
	}
	return err == nil, err
}

// Unlock gives a lock back.
func (v *Vault) Unlock(_ context.Context, name string) error {
	v.mu.Lock()
	release := v.held[name]
	delete(v.held, name)
	v.mu.Unlock()
	if release == nil {
		return fmt.Errorf("the fleet's certificates: %s is not locked here", name)
	}
	release()
	return nil
}
