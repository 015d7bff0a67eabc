package fetch

import (
	"time"

	"pkgedge/origin/health"
	"pkgedge/origin/kind"
)

// lonely is for how long all other masters are out, which takes several failures, before a
// replica's word is enough that there is no such thing: it has by then of them all that it will
// get, and an error would have clients come again in vain.
const lonely = time.Second

// absences counts the masters that answered that there is no such thing.
type absences struct {
	n    int
	told bool // it is an answer
}

// final counts one more, and says whether it is an answer: the primary's, that of a second
// master, or alone's. One replica that lags must not make something look gone.
func (a *absences) final(m *health.Master, alone bool) bool {
	a.n++
	a.told = a.told || m.Primary || a.n > 1 || alone
	return a.told
}

// alone says that a master is the only one that is left for some time, and that nothing was written
// there that it may not have.
func (f *Fetcher) alone(m *health.Master, r kind.Route) bool {
	return m.Lone(f.lonely) && !f.writes.Remembers(r, time.Now())
}
