package fleetsim

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pkgedge/cache/purge"
	"pkgedge/edge/edgetest"
	"pkgedge/edge/fleet/natstest"
	"pkgedge/edge/fleet/purgelog"
)

// A server's files have as many bytes as those of the stand-in.
func TestAServerNeedsAsMuch(t *testing.T) {
	_, js := natstest.Start(t, 1).Connect()
	if _, _, err := purgelog.Init(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	log, err := purgelog.Open(purgelog.Config{
		Name: "pop1-0", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Tick: 10 * time.Millisecond,
		Apply: func([]purgelog.Entry) error { return nil }, Stale: func(bool) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { log.Run(ctx, js) })
	for pkg := range 20 {
		if err := log.Announce(purgelog.Entry{Purge: purge.Purge{Scope: purge.GroupMetadata, Site: "npm", Name: nameOf(pkg), Soft: true}}); err != nil {
			t.Error(err)
		}
	}
	edgetest.Until(t, "the purges in the log", func() bool { s := log.Status(); return s.Live && s.Outbox == 0 })
	cancel()
	running.Wait()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	s, err := js.Stream(t.Context(), purgelog.Stream)
	if err != nil {
		t.Fatal(err)
	}
	state, bytes := s.CachedInfo().State, 0
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			continue // a later one has taken its place
		}
		bytes += (&message{subject: m.Subject, data: m.Data}).size()
	}
	if state.Msgs != 21 || bytes != int(state.Bytes) {
		t.Errorf("%d messages of %d bytes, %d in the simulation", state.Msgs, state.Bytes, bytes)
	}
}
