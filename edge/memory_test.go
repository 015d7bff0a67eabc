package main

import (
	"strings"
	"testing"
)

func TestMemoryThatDoesNotSufficeIsWarnedOf(t *testing.T) {
	for _, tt := range []struct {
		memory, metadata int64
		want             []string
	}{
		{256 << 20, 128 << 20, nil},
		{64 << 20, 8 << 20, nil},
		{64 << 20, 128 << 20, []string{"cache.max_metadata: cache.memory (64MiB)"}},
		{32 << 20, 4096, []string{"cache.memory: 32MiB is less"}},
	} {
		cfg := Default()
		cfg.Cache.Memory, cfg.Cache.MaxMetadata = tt.memory, tt.metadata
		got := cfg.Warnings()
		if len(got) != len(tt.want) {
			t.Fatalf("%s: %q", formatSize(tt.memory), got)
		}
		for i, w := range tt.want {
			if !strings.HasPrefix(got[i], w) {
				t.Errorf("%s: %q, want %q", formatSize(tt.memory), got[i], w)
			}
		}
		if n := cfg.Cache.largestMetadata(); n > tt.metadata || n > tt.memory*5/8 {
			t.Errorf("%s: documents of %s", formatSize(tt.memory), formatSize(n))
		}
	}
}
