package server

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"pkgedge/edge/edgetest"
)

// Clients take turns at calculating: one with many handshakes waits for itself.
func TestHandshakesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTurns()
		all.free = 1
		flood, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
		first := &calculation{turns: all, client: flood}
		first.GoOn()
		first.GoOn() // it has a turn
		var order []string
		wait := func(name string, client netip.Prefix) {
			go func() {
				c := &calculation{turns: all, client: client}
				c.GoOn()
				order = append(order, name)
				c.Pause()
				c.Pause()
			}()
			synctest.Wait()
		}
		for range 5 {
			wait("flood", flood)
		}
		wait("other", other)
		first.Pause()
		synctest.Wait()
		if want := []string{"flood", "other", "flood", "flood", "flood", "flood"}; !slices.Equal(order, want) {
			t.Errorf("turns: %v", order)
		}
		if all.free != 1 || len(all.waiting)+len(all.clients) > 0 {
			t.Errorf("left: %+v", all)
		}
	})
}

// A handshake that waits for its client, or for a certificate, has no turn meanwhile: with one turn others
// are done.
func TestHandshakesThatWaitHaveNoTurn(t *testing.T) {
	edgetest.NoLeaks(t)
	config, trust := pairOf(t)
	pair := config.Certificates[0]
	most := newTurns().free
	waits, obtained := make(chan struct{}, most), make(chan struct{})
	config.Certificates = nil
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "slow.example" {
			waits <- struct{}{}
			<-obtained
		}
		return &pair, nil
	}
	s := New(edgetest.QuietLog())
	l := openLoopback(t, s, "tls.listen", func(http.ResponseWriter, *http.Request) {})
	l.TLS = config
	st := startServer(t, s)
	done := make(chan error, most)
	for range most {
		go func() {
			c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: "slow.example"})
			if err == nil {
				c.Close()
			}
			done <- err
		}()
	}
	for range most {
		<-waits
	}
	client := edgetest.NewClient(t, trust)
	for range most + 2 {
		resp, err := client.Get("https://" + l.Addr().String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		client.CloseIdleConnections()
	}
	close(obtained)
	for range most {
		if err := edgetest.Receive(t, done, "a handshake that waited"); err != nil {
			t.Error(err)
		}
	}
	client.CloseIdleConnections()
	st.stop()
	edgetest.Receive(t, st.done, "the end of Run")
}
