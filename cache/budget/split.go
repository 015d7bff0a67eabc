package budget

// Shares are the parts of one budget: the resident memory of the whole process. Each share
// is a bound by itself, so that the process stays below their sum under any load.
// docs/decisions/0008 has the figures.
type Shares struct {
	// Tier is for the memory tier: bodies, fields, ristretto's counters, and the disk
	// tier's index. Borrowed bytes come out of it, see Cache.Shrink.
	Tier int64
	// InFlight is for bodies that are in memory and not in the tier, see Buffers.
	InFlight int64
	// Documents is for metadata documents that an origin reads whole.
	Documents int64
	// Lane is for the answers that the fast lane repeats, without their bodies.
	Lane int64
	// Limit is for debug.SetMemoryLimit. It leaves a seventh of the budget to
	// garbage, or else the collector would run all the time.
	Limit int64
}

// GCPercent is for debug.SetGCPercent: a small heap is collected seldom. A large one is
// bound by Limit.
const GCPercent = 400

const (
	// MinTier is the smallest useful memory tier.
	MinTier = 1 << 20
	// OpenFile is about the memory of a file that stays open: its decoded fields, and the
	// part of the kernel.
	OpenFile = 4 << 10
	// IndexEntry is the memory of the disk tier's index for each file, see
	// docs/decisions/0003.
	IndexEntry = 128
	// program is the memory of an empty process: its own pages, the runtime,
	// connections.
	program = 32 << 20
	// unmanaged is the part of it that the runtime's limit does not cover, and the
	// garbage that the collector is late with.
	unmanaged = 28 << 20
	// leastDocuments lets one document be compressed, and read another.
	leastDocuments = 8 << 20
	// LeastMemory is the smallest budget, in bytes, that Split keeps to.
	LeastMemory = 64 << 20
)

// Split returns the shares of a budget in bytes. A budget below LeastMemory has the shares
// of that, but for the tier's, which is always a part of the budget.
func Split(budget int64) Shares {
	rest := max(budget, LeastMemory) - program
	lane := min(rest/64, 64<<20)
	s := Shares{
		InFlight: min(rest/8-lane, 64<<20), Documents: min(max(rest/8, leastDocuments), 128<<20), Lane: lane,
		Limit: rest + program - unmanaged,
	}
	s.Tier = min(rest-rest/7-s.InFlight-s.Documents-s.Lane, max(budget*2/3, MinTier))
	return s
}

// Document is the size of the largest metadata document that fits when its reader borrows
// all of the tier. It counts with its compressed form or its summary, an eighth of it at
// most. A document of 4 MiB needs no loan.
func (s Shares) Document() int64 { return max((s.Tier+s.Documents/2-4<<20)/9*8, 4<<20) }

// Files is the number of files that the disk tier may have: its index leaves the memory
// tier a sixteenth of its share at least.
func (s Shares) Files() int64 { return s.Tier / 16 * 15 / IndexEntry }

// OpenFiles is the number of files of the disk tier that may stay open. They leave the
// memory tier 31 of 32 parts of its share.
func (s Shares) OpenFiles() int64 { return s.Tier / 32 / OpenFile }
