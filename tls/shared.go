package tls

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/caddyserver/certmagic"
)

// manageShared begins to obtain and renew the certificates of names that several edges share. One
// with a copy here is shown without it. The others, and all that the shared storage has to hear,
// are behind: it may be away, and then nothing is obtained that it may have.
func (d *domain) manageShared(ctx context.Context, names []string) error {
	missing := slices.DeleteFunc(slices.Clone(names), d.copied)
	if err := d.manage(ctx, slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !d.copied(name) })); err != nil {
		return err
	}
	d.sharing.Go(func() {
		for _, name := range names {
			d.until(ctx, name, func() error { return d.share(ctx, name) })
		}
	})
	for _, name := range missing {
		d.sharing.Go(func() {
			d.until(ctx, name, func() error { return d.copy(ctx, name) })
		})
	}
	return nil
}

// copy copies the certificate of a name, or begins to obtain it where no edge has.
func (d *domain) copy(ctx context.Context, name string) error {
	if err := d.magic.WarmLocalCache(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.manage(ctx, []string{name})
}

// until does something for a name again and again, until it succeeds or ctx is done.
func (d *domain) until(ctx context.Context, name string, do func() error) {
	for failed := false; ctx.Err() == nil; failed = true {
		err := do()
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
