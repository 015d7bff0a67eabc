package budget

// Shares divides one budget of memory: what the whole process may have resident.
// Each share is a bound by itself, so that the process stays below the sum
// whatever its load is made of; docs/decisions/0008 has the figures.
type Shares struct {
	// Tier is what the memory tier holds: bodies, fields, ristretto's counters,
	// and the disk tier's index. What is lent comes out of it, see Cache.Lend.
	Tier int64
	// InFlight is the bytes of bodies that are in memory and not in the tier.
	InFlight int64
	// Documents is for what an origin reads whole.
	Documents int64
	// Limit is for debug.SetMemoryLimit. It leaves a seventh of the budget to
	// garbage, or else the collector would run all the time.
	Limit int64
}

const (
	// MinTier is the smallest memory tier that is worth having.
	MinTier = 1 << 20
	// IndexEntry is the memory that the disk tier's index takes for each file, see
	// docs/decisions/0003.
	IndexEntry = 128
	// program is what the process takes whatever it holds: its own pages, the
	// runtime, connections.
	program = 32 << 20
	// unmanaged is the part of it that the runtime's limit does not cover, and
	// what the collector is late.
	unmanaged = 28 << 20
	// leastDocuments lets one document be compressed, and read another.
	leastDocuments = 8 << 20
	// LeastMemory is the smallest budget, in bytes, that Divide keeps to.
	LeastMemory = 64 << 20
)

// Split gives the shares of a budget in bytes. One below LeastMemory has the
// shares of that, but for the tier's, which is always a part of the budget.
func Split(budget int64) Shares {
	rest := max(budget, LeastMemory) - program
	s := Shares{InFlight: min(rest/8, 64<<20), Documents: min(max(rest/8, leastDocuments), 128<<20), Limit: rest + program - unmanaged}
	s.Tier = min(rest-rest/7-s.InFlight-s.Documents, max(budget*2/3, MinTier))
	return s
}

// Document is the largest metadata document that there is room for, when a loan
// takes all of the tier: with its compressed form, or what is noted of it, which
// is an eighth of it at most. One of 4 MiB needs no loan.
func (s Shares) Document() int64 { return max((s.Tier+s.Documents/2-4<<20)/9*8, 4<<20) }

// Files is how many files the disk tier may have: its index leaves the tier a
// sixteenth of its share at least.
func (s Shares) Files() int64 { return s.Tier / 16 * 15 / IndexEntry }
