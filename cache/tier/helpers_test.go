package tier

import (
	"pkgedge/cache/disk"
	"pkgedge/cache/memory"
)

// tiersOf are two tiers whose background work runs at once.
func tiersOf(m *memory.Store, d *disk.Store) *Store {
	return &Store{Memory: m, Disk: d, Background: func(work func()) bool { work(); return true }}
}
