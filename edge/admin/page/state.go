package page

import (
	"time"

	"pkgedge/edge/history"
	"pkgedge/edge/report"
)

// Source is where the page has its state from. All members are required.
type Source struct {
	Status   func() *report.Status
	Reloads  func() []Reload // the last ones, the latest first
	Memory   func() int64    // bytes that the process has
	Hour     *history.Hour
	Asked    *history.Top
	Missed   *history.Top
	Sent     *history.Top // bytes
	Failures *history.Failures
	Token    bool // changes need the admin token
}

// Reload is one reload of the configuration. Mistakes are the reasons for which it was refused.
type Reload struct {
	At       time.Time `json:"at"`
	Changed  []string  `json:"changed,omitempty"`
	Mistakes []string  `json:"mistakes,omitempty"`
}

const (
	listed   = 12  // names in a list
	maxEdges = 100 // rows of a table of edges
	pastFor  = time.Hour
)

// state is the data of the event "status".
type state struct {
	At           time.Time     `json:"at"`
	Started      time.Time     `json:"started"`
	Ready        bool          `json:"ready"`
	Why          string        `json:"why,omitempty"`
	Version      string        `json:"version"`
	Config       report.Config `json:"config"`
	Verdict      string        `json:"verdict"`
	Problems     []problem     `json:"problems"`
	Sites        []report.Site `json:"sites"`
	Cache        report.Cache  `json:"cache"`
	Memory       int64         `json:"memory"`
	Asked        []ranked      `json:"asked"`
	Missed       []ranked      `json:"missed"`
	Sent         []ranked      `json:"sent"` // bytes
	Failures     []failure     `json:"failures"`
	Certificates []certificate `json:"certificates"`
	Fleet        *fleet        `json:"fleet,omitempty"` // nil for an edge alone
	Reloads      []Reload      `json:"reloads"`
	Token        bool          `json:"token"`
}

type problem struct {
	Mark string `json:"mark"` // as in the text of the status
	Text string `json:"text"`
}

type ranked struct {
	Site  string `json:"site"`
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

type failure struct {
	Site    string    `json:"site"`
	Status  int       `json:"status"`
	Reason  string    `json:"reason"`
	Request string    `json:"request"`
	Detail  string    `json:"detail"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int64     `json:"count"`
}

type certificate struct {
	Title string `json:"title"`
	Text  string `json:"text"`
	Days  *int   `json:"days"` // left; nil where there is none yet
	Level int    `json:"level"`
}

// fleet is the other edges: in the words of edge status, and as tables.
type fleet struct {
	Lines   []report.Line `json:"lines"`
	Edges   []fleetEdge   `json:"edges"`   // that read the log of purges
	Members []fleetMember `json:"members"` // that share their fetches
}

type fleetEdge struct {
	Name    string    `json:"name"`
	Pop     string    `json:"pop"`
	State   string    `json:"state"`
	Well    bool      `json:"well"`
	Place   uint64    `json:"place"`
	Version string    `json:"version"`
	Heard   time.Time `json:"heard"`
}

type fleetMember struct {
	Address string  `json:"address"`
	State   string  `json:"state"`
	Share   float64 `json:"share"`
}

// fleetOf is nil for an edge alone.
func fleetOf(f *report.Fleet) *fleet {
	if f == nil {
		return nil
	}
	is := &fleet{Lines: f.Lines(), Edges: []fleetEdge{}, Members: []fleetMember{}}
	for _, e := range f.Edges[:min(len(f.Edges), maxEdges)] {
		row := fleetEdge{report.Printable(e.Name), report.Printable(e.Pop), report.EdgeState(e), !e.Away && e.Live, e.Place, report.Printable(e.Version), e.Heard}
		is.Edges = append(is.Edges, row)
	}
	if s := f.Siblings; s != nil {
		for _, m := range s.Members[:min(len(s.Members), maxEdges)] {
			is.Members = append(is.Members, fleetMember{report.Printable(m.Address), m.State, m.Share})
		}
	}
	return is
}

// state is the present one. Texts of foreign servers are made safe to print.
func (s *Source) state() *state {
	is := s.Status()
	now := time.Now()
	v := &state{
		At: is.At, Started: is.Started, Ready: is.Ready, Why: is.Why, Version: is.Version, Config: is.Config, Sites: is.Sites, Cache: is.Cache,
		Memory: s.Memory(), Asked: rankedOf(s.Asked, now), Missed: rankedOf(s.Missed, now), Sent: rankedOf(s.Sent, now), Reloads: append([]Reload{}, s.Reloads()...), Token: s.Token,
		Problems: []problem{}, Failures: []failure{}, Certificates: []certificate{},
		Fleet: fleetOf(is.Fleet),
	}
	problems := is.Problems()
	v.Verdict = report.Verdict(problems)
	for _, p := range problems {
		v.Problems = append(v.Problems, problem{p.Mark(), p.Text})
	}
	for _, f := range s.Failures.List(now.Add(-pastFor)) {
		v.Failures = append(v.Failures, failure{
			f.Site, f.Status, report.Printable(f.Reason), report.Printable(f.Request), report.Printable(f.Detail), f.First.UTC(), f.Last.UTC(), f.Count,
		})
	}
	for i := range is.Certificates {
		c := &is.Certificates[i]
		row := certificate{Title: report.Printable(c.Title()), Text: report.Printable(c.Text(now)), Level: int(c.Urgency(now))}
		if !c.NotAfter.IsZero() {
			days := int(c.NotAfter.Sub(now).Hours() / 24)
			row.Days = &days
		}
		v.Certificates = append(v.Certificates, row)
	}
	return v
}

func rankedOf(t *history.Top, now time.Time) []ranked {
	all := []ranked{}
	for _, r := range t.List(now, listed) {
		all = append(all, ranked{r.Site, report.Printable(r.Name.Name), r.Count})
	}
	return all
}
