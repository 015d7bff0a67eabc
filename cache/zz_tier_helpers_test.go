package cache

// tiersOf are two tiers that do at once what can be done in the background.
func tiersOf(m *memory, d *disk) *tiers {
	return &tiers{memory: m, disk: d, background: func(work func()) bool { work(); return true }}
}
