package cache

// Mark says what purges have done to a stored response.
type Mark uint8

const (
	NotMarked   Mark = iota
	MarkedStale      // a soft purge: validate before use
	MarkedGone       // a hard purge: it is not there any more
)
