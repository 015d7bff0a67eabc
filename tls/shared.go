package tls

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/caddyserver/certmagic"
)

// manageShared begins to do with the shared storage all that names need, and returns those with a
// copy here, which are shown without it. The copy is given to a storage that has none. The other names
// wait for the storage, which may be away: nothing is obtained that it may have.
func (d *domain) manageShared(ctx context.Context, names []string) (copied []string) {
	for _, name := range names {
		do := d.copy
		if d.copied(name) {
			do = d.share
			copied = append(copied, name)
		}
		go d.until(ctx, name, do)
	}
	return copied
}

// copy copies the certificate of a name, or begins to obtain it where no edge has.
func (d *domain) copy(ctx context.Context, name string) error {
	if err := d.magic.WarmLocalCache(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.magic.ManageAsync(ctx, []string{name})
}

// until does something for a name again and again, until it succeeds or ctx is done.
func (d *domain) until(ctx context.Context, name string, do func(context.Context, string) error) {
	for failed := false; ctx.Err() == nil; failed = true {
		err := do(ctx, name)
		if err == nil {
			if failed {
				d.attempts.ended(name, true, nil)
			}
			return
		}
		d.attempts.ended(name, false, err)
		select {
		case <-time.After(d.again):
		case <-ctx.Done():
		}
	}
}

// copied reports whether there is a copy of a certificate here.
func (d *domain) copied(name string) bool {
	_, err := d.local.Stat(d.ctx, certmagic.StorageKeys.SiteCert(d.issuer.IssuerKey(), name))
	return err == nil
}

// share gives the shared storage the certificate of a name that this edge has and the storage has
// not: it was obtained when this edge was alone.
func (d *domain) share(ctx context.Context, name string) error {
	issuer, keys := d.issuer.IssuerKey(), certmagic.StorageKeys
	if _, err := d.shared.Stat(ctx, keys.SiteCert(issuer, name)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The certificate comes last: an edge that finds it finds its key.
	for _, key := range []string{keys.SiteMeta(issuer, name), keys.SitePrivateKey(issuer, name), keys.SiteCert(issuer, name)} {
		value, err := d.local.Load(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = d.shared.Store(ctx, key, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
