package figures

import "time"

// Log describes the log of purges, as one edge sees it.
type Log struct {
	Server    string    `json:"server,omitempty"` // of NATS, "" without a connection
	Live      bool      `json:"live"`             // purges of other edges are in force here within a moment
	Since     time.Time `json:"since"`
	Why       string    `json:"why,omitempty"` // it is not live
	ID        string    `json:"log,omitempty"`
	Place     uint64    `json:"place"`  // up to which all purges are in force here
	Behind    uint64    `json:"behind"` // how far the log is ahead, as far as is known
	Outbox    int       `json:"outbox"` // purges of this edge that the log has not acknowledged
	Applied   int64     `json:"applied"`
	Published int64     `json:"published"`
	Repaired  int64     `json:"repaired,omitempty"`  // purges that the log had lost
	Resets    int64     `json:"resets"`              // times that everything was put in doubt
	Namesakes int64     `json:"namesakes,omitempty"` // ticks of another process that has this edge's name
	Follows   []string  `json:"follows,omitempty"`   // sites whose change feed this edge follows for all
}

// Edge is an edge of the fleet.
type Edge struct {
	Name    string    `json:"name"`
	Pop     string    `json:"pop,omitempty"`
	Address string    `json:"address,omitempty"` // where siblings ask
	Version string    `json:"version,omitempty"`
	Place   uint64    `json:"place"`
	Live    bool      `json:"live"` // it reads the log
	Away    bool      `json:"away,omitempty"`
	Heard   time.Time `json:"heard"`
}

// Spread is how far a purge has come.
type Spread struct {
	Durable bool     `json:"durable"`           // the log has it; else it waits in the outbox of the edge that was asked
	Seq     uint64   `json:"seq,omitempty"`     // its place in the log
	Applied int      `json:"applied"`           // at how many edges it is in force, that one among them
	Members int      `json:"members"`           // how many edges there are
	Missing []string `json:"missing,omitempty"` // the others
}
