// Package natstest runs NATS servers for tests, and in the test's own process. No package of the
// program imports the server, and nothing but tests imports this one.
package natstest

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster is one server, or several of one cluster. Its methods are for the goroutine of the test.
type Cluster struct {
	t       testing.TB
	options []*server.Options
	servers []*server.Server
}

// Start runs n servers until the end of the test, with changes to their options.
func Start(t testing.TB, n int, changes ...func(*server.Options)) *Cluster {
	t.Helper()
	c := &Cluster{t: t, servers: make([]*server.Server, n)}
	var routes []*url.URL
	for i := range n {
		o := &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: freePort(t), JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
			JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 256 << 20,
		}
		if n > 1 {
			o.Cluster = server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: freePort(t)}
			routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", o.Cluster.Port)})
		}
		for _, change := range changes {
			change(o)
		}
		c.options = append(c.options, o)
	}
	for i, o := range c.options {
		o.Routes = routes
		c.start(i)
	}
	for i := range n {
		c.awaitReady(i)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.Kill(i)
		}
	})
	if n > 1 {
		c.awaitMeta()
	}
	return c
}

// awaitMeta waits until the servers have chosen their leader.
func (c *Cluster) awaitMeta() {
	c.t.Helper()
	for late := time.Now().Add(20 * time.Second); ; {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(c.servers) {
				return
			}
		}
		if time.Now().After(late) {
			c.t.Fatal("no leader of the servers")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// freePort is a port that nothing listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Restart runs a server that was killed, on the port and with the files of before.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	c.start(i)
	c.awaitReady(i)
}

func (c *Cluster) start(i int) {
	c.t.Helper()
	s, err := server.NewServer(c.options[i].Clone()) // the server changes its own
	if err != nil {
		c.t.Fatal(err)
	}
	s.Start()
	c.servers[i] = s
}

func (c *Cluster) awaitReady(i int) {
	c.t.Helper()
	if !c.servers[i].ReadyForConnections(10 * time.Second) {
		c.t.Fatal("the server is not ready")
	}
}

// Lose takes the files of a server that was killed, so that it begins anew.
func (c *Cluster) Lose(i int) { c.options[i].StoreDir = c.t.TempDir() }

// Kill ends a server.
func (c *Cluster) Kill(i int) {
	if s := c.servers[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.servers[i] = nil
	}
}

// Leader is the server that leads a stream, -1 for none.
func (c *Cluster) Leader(stream string) int {
	for i, s := range c.servers {
		if s != nil && s.JetStreamIsStreamLeader("$G", stream) {
			return i
		}
	}
	return -1
}

// URLs are those of all servers, also of those that were killed.
func (c *Cluster) URLs() []string {
	var all []string
	for _, o := range c.options {
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return all
}

// Connect is a client, until the end of the test.
func (c *Cluster) Connect() (*nats.Conn, jetstream.JetStream) {
	c.t.Helper()
	o := nats.GetDefaultOptions()
	o.Servers, o.MaxReconnect, o.ReconnectWait, o.ReconnectJitter, o.ReconnectBufSize = c.URLs(), -1, 20*time.Millisecond, 0, -1
	o.RetryOnFailedConnect = true
	o.PingInterval, o.MaxPingsOut = 500*time.Millisecond, 2
	nc, err := o.Connect()
	if err != nil {
		c.t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(nc.Close)
	return nc, js
}
