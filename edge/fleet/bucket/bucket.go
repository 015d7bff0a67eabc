// Package bucket makes the KV buckets of a fleet, for edge fleet init. It knows nothing of their
// contents, and has no locks.
package bucket

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Make makes a bucket on disk where there is none of its name. One that is there stays as it is.
func Make(ctx context.Context, js jetstream.JetStream, cfg jetstream.KeyValueConfig) (made bool, err error) {
	if _, err := js.KeyValue(ctx, cfg.Bucket); err == nil {
		return false, nil
	} else if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return false, fmt.Errorf("cannot look for the bucket %s: %w", cfg.Bucket, err)
	}
	cfg.Storage = jetstream.FileStorage
	if _, err := js.CreateKeyValue(ctx, cfg); err != nil {
		return false, fmt.Errorf("cannot make the bucket %s: %w", cfg.Bucket, err)
	}
	return true, nil
}
