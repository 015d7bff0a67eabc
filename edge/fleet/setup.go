package fleet

import (
	"context"
	"fmt"
	"time"

	"pkgedge/edge/config"
	"pkgedge/edge/fleet/lease"
	"pkgedge/edge/fleet/purgelog"
	"pkgedge/edge/fleet/vault"
)

// Made is the result of Init.
type Made struct {
	Log             string `json:"log"` // its id
	NewLog          bool   `json:"new_log"`
	Leases          string `json:"leases"` // the bucket
	NewKeys         bool   `json:"new_leases"`
	Certificates    string `json:"certificates"` // the bucket
	NewCertificates bool   `json:"new_certificates"`
}

// initFor bounds Init.
const initFor = 20 * time.Second

// Init makes the log of purges and the buckets of leases and certificates at the servers of a fleet, where they are
// missing.
func Init(ctx context.Context, f *config.Fleet, replicas int) (Made, error) {
	ctx, cancel := context.WithTimeout(ctx, initFor)
	defer cancel()
	nc, js, err := Connect(ctx, f, false, func(string, error) {})
	if err != nil {
		return Made{}, err
	}
	defer nc.Close()
	made := Made{Leases: lease.Bucket, Certificates: vault.Bucket}
	if made.Log, made.NewLog, err = purgelog.Init(ctx, js, replicas); err != nil {
		return made, err
	}
	if made.NewKeys, err = lease.Init(ctx, js, replicas); err != nil {
		return made, fmt.Errorf("the log of purges is there, and: %w", err)
	}
	if made.NewCertificates, err = vault.Init(ctx, js, replicas); err != nil {
		return made, fmt.Errorf("the log of purges and the leases are there, and: %w", err)
	}
	return made, nil
}
