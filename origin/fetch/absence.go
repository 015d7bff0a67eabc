package fetch

import "pkgedge/origin/health"

// absences counts the masters that answered that there is no such thing.
type absences struct {
	n    int
	told bool // it is an answer
}

// final counts one more, and says whether it is an answer: the primary's, or that of a
// second master. One replica that lags must not make something look gone.
func (a *absences) final(m *health.Master) bool {
	a.n++
	a.told = a.told || m.Primary || a.n > 1
	return a.told
}
