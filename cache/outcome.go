package cache

// Outcome names how a request ended. Log, metric and Cache-Status use the same
// word.
type Outcome uint8

const (
	Failed      Outcome = iota // nothing could answer: 502, 503 or 504
	Hit                        // fresh, from the store
	HitStale                   // stale within a window, from the store
	HitError                   // stale, because the origin failed
	Missed                     // fetched for this request
	Collapsed                  // answered by a fetch begun for another request
	Revalidated                // validated with the origin, then answered from the store
	Passed                     // forwarded, not stored
	Local                      // answered by the edge itself
	Refused                    // a bad or unwanted request
	Limited                    // over the client's budget
	Looped                     // came back to this edge
	outcomes
)

var outcomeWords = [outcomes]string{
	"error", "hit", "stale", "stale-error", "miss", "collapsed", "revalidated", "pass", "local", "refused",
	"limited", "loop",
}

// String is the outcome's word.
func (o Outcome) String() string { return outcomeWords[o] }
