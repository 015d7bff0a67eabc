package config

import (
	"strings"
	"testing"

	"pkgedge/edge/config/value"
)

func TestMemoryThatDoesNotSufficeIsWarnedOf(t *testing.T) {
	const disk = 10 << 30
	for _, tt := range []struct {
		memory, metadata, disk int64
		want                   []string
	}{
		{256 << 20, 128 << 20, disk, nil},
		{64 << 20, 8 << 20, disk, nil},
		{64 << 20, 128 << 20, disk, []string{"cache.max_metadata: a document of more than 13MiB takes the process beyond cache.memory (64MiB)"}},
		{32 << 20, 4096, disk, []string{"cache.memory: 32MiB is less"}},
		{256 << 20, 128 << 20, 1 << 40, []string{"cache.disk: cache.memory (256MiB)"}},
	} {
		cfg := Default(allKinds)
		cfg.Cache.Memory, cfg.Cache.MaxMetadata, cfg.Cache.Disk = tt.memory, tt.metadata, tt.disk
		got := cfg.Warnings()
		if len(got) != len(tt.want) {
			t.Fatalf("%s: %q", value.FormatSize(tt.memory), got)
		}
		for i, w := range tt.want {
			if !strings.HasPrefix(got[i], w) {
				t.Errorf("%s: %q, want %q", value.FormatSize(tt.memory), got[i], w)
			}
		}
	}
}
