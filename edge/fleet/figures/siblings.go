package figures

// Siblings describes the siblings of an edge, and the requests among them.
type Siblings struct {
	Members []Member `json:"members"`

	// Of this edge's requests to others: asked, answered, refused by the owner, failed, and
	// answered with something that was no good; and the bytes of the answers.
	Asked    int64 `json:"asked"`
	Answered int64 `json:"answered"`
	Refused  int64 `json:"refused"`
	Failed   int64 `json:"failed"`
	Unusable int64 `json:"unusable"`
	Bytes    int64 `json:"bytes"`

	// Of the others' requests to this edge: answered, declined, with a wrong token, and bytes.
	Served      int64 `json:"served"`
	Declined    int64 `json:"declined"`
	Strangers   int64 `json:"strangers"`
	ServedBytes int64 `json:"served_bytes"`
}

// Member is one of the edges that share their fetches.
type Member struct {
	Address string `json:"address"`
	State   string `json:"state"` // "well", "out" or "self"

	// Share is the part of all things that it owns now. The hash gives each member that counts as
	// much, and one that is out nothing.
	Share float64 `json:"share"`
}

// FellBack is how many requests went to the masters after all.
func (s *Siblings) FellBack() int64 { return s.Refused + s.Failed + s.Unusable }
