package budget

import "testing"

func TestShares(t *testing.T) {
	for _, total := range []int64{LeastMemory, 100 << 20, 256 << 20, 1 << 30, 64 << 30} {
		s := Split(total)
		sum := s.Tier + s.InFlight + s.Documents + s.Lane + program
		if garbage := total - sum; garbage < (total-program)/7 {
			t.Errorf("%d: %+v leave %d to garbage", total, s, garbage)
		}
		if s.Limit >= total || s.Limit < total/2 {
			t.Errorf("%d: the limit is %d", total, s.Limit)
		}
		if s.Tier < total/5 || s.InFlight < leastInFlight || s.Documents < 1<<20 {
			t.Errorf("%d: %+v", total, s)
		}
	}
	// The built-in configuration, 128 MiB in 256 MiB.
	if n := Split(256 << 20).Document(); n < 128<<20 {
		t.Errorf("documents of %d bytes at most", n)
	}
}

const leastInFlight = 16 * BlockSize

func TestIndexHasItsPartOfTheTier(t *testing.T) {
	s := Split(LeastMemory)
	if n := s.Files(); n < 50_000 || n*IndexEntry > s.Tier/16*15 {
		t.Errorf("%d files, of a share of %d", n, s.Tier)
	}
}
