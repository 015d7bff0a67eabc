package fetch

import "pkgedge/origin/health"

// absences counts the masters that answered that there is no such thing.
type absences int

// final counts one more, and says whether it is an answer: the primary's, or that of a
// second master. One replica that lags must not make something look gone.
func (a *absences) final(m *health.Master) bool {
	*a++
	return m.Primary || *a > 1
}
