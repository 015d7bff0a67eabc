package tier

import (
	"pkgedge/cache/disk"
	"pkgedge/cache/memory"
)

// tiersOf are two tiers that do at once what can be done in the background.
func tiersOf(m *memory.Store, d *disk.Store) *Store {
	return &Store{Memory: m, Disk: d, Background: func(work func()) bool { work(); return true }}
}
