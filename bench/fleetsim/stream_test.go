package fleetsim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// trip is how long the servers take to answer.
	trip = time.Millisecond
	// batchSize and batchFor bound a request for messages, as purgelog makes them. The client hides
	// these options.
	batchSize, batchFor = 512, 10 * time.Second
	// tickHeader and purgeHeader are the bytes of the header fields that the client adds. It hides
	// those, too; TestAServerNeedsAsMuch holds the figures to a real server.
	tickHeader, purgeHeader = 41, 82
)

// isTick tells ticks from purges.
func isTick(subject string) bool { return strings.HasPrefix(subject, "purge.tick.") }

// message is a message of the log. Methods of the embedded interface that nobody calls panic, here
// and below.
type message struct {
	jetstream.Msg
	subject string
	data    []byte
	meta    jetstream.MsgMetadata
}

func (m *message) Subject() string                           { return m.subject }
func (m *message) Data() []byte                              { return m.data }
func (m *message) Metadata() (*jetstream.MsgMetadata, error) { return &m.meta, nil }

// size is the room that a message takes in the files of a server.
func (m *message) size() int {
	header := purgeHeader
	if isTick(m.subject) {
		header = tickHeader
	}
	return 34 + len(m.subject) + header + len(m.data)
}

// counts are of the messages that have gone through a log.
type counts struct {
	ticks, purges                   int // published
	ticksDelivered, purgesDelivered int // to edges
}

// stream is a log in memory.
type stream struct {
	mu        sync.Mutex
	config    jetstream.StreamConfig
	seq       uint64
	last      map[string]*message  // the newest of each subject
	consumers map[string]*consumer // by name, which is the subject of its edge's ticks: an edge has one at a time
	counts    counts
}

func newStream() *stream {
	return &stream{last: make(map[string]*message), consumers: make(map[string]*consumer)}
}

// stored is the number of bytes that the log has.
func (s *stream) stored() (bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.last {
		bytes += m.size()
	}
	return bytes
}

func (s *stream) count() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func (s *stream) publish(subject string, data []byte) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	m := &message{subject: subject, data: data, meta: jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Stream: s.seq}, Timestamp: time.Now()}}
	s.last[subject] = m
	if isTick(subject) {
		s.counts.ticks++
	} else {
		s.counts.purges++
	}
	if isTick(subject) {
		if c := s.consumers[subject]; c != nil {
			c.take(m)
		}
		return s.seq
	}
	for _, c := range s.consumers {
		c.take(m)
	}
	return s.seq
}

// client is the servers, as an edge asks them.
type client struct {
	jetstream.JetStream
	of *stream
}

func (c client) CreateStream(_ context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	c.of.mu.Lock()
	c.of.config = cfg
	c.of.mu.Unlock()
	return c.Stream(context.Background(), cfg.Name)
}

func (c client) Stream(context.Context, string) (jetstream.Stream, error) {
	time.Sleep(trip)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.of.config.Name == "" {
		return nil, jetstream.ErrStreamNotFound
	}
	return handle{of: c.of, info: &jetstream.StreamInfo{Config: c.of.config, State: jetstream.StreamState{LastSeq: c.of.seq}}}, nil
}

func (c client) PublishMsg(ctx context.Context, m *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	time.Sleep(trip)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &jetstream.PubAck{Stream: c.of.config.Name, Sequence: c.of.publish(m.Subject, m.Data)}, nil
}

// handle is a stream, as it was when it was looked at.
type handle struct {
	jetstream.Stream
	of   *stream
	info *jetstream.StreamInfo
}

func (h handle) CachedInfo() *jetstream.StreamInfo { return h.info }

func (h handle) GetLastMsgForSubject(_ context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	time.Sleep(trip)
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	m := h.of.last[subject]
	if m == nil {
		return nil, jetstream.ErrMsgNotFound
	}
	return &jetstream.RawStreamMsg{Subject: subject, Sequence: m.meta.Sequence.Stream, Data: m.data}, nil
}

func (h handle) CreateConsumer(_ context.Context, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	time.Sleep(trip)
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	c := &consumer{of: h.of}
	for _, f := range cfg.FilterSubjects {
		if isTick(f) {
			c.name = f
		}
	}
	for _, m := range h.of.last {
		if m.meta.Sequence.Stream >= cfg.OptStartSeq && c.wants(m.subject) {
			c.queue = append(c.queue, m)
		}
	}
	slices.SortFunc(c.queue, func(a, b *message) int { return cmp.Compare(a.meta.Sequence.Stream, b.meta.Sequence.Stream) })
	h.of.consumers[c.name] = c
	return c, nil
}

func (h handle) DeleteConsumer(_ context.Context, name string) error {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	delete(h.of.consumers, name)
	return nil
}

// consumer hands messages to one edge. The stream's mutex guards it.
type consumer struct {
	jetstream.Consumer
	of    *stream
	name  string // the one subject of ticks that it is for
	queue []*message
	open  chan jetstream.Msg // of the request under way, nil for none
	left  int                // that it may still have
}

func (c *consumer) CachedInfo() *jetstream.ConsumerInfo { return &jetstream.ConsumerInfo{Name: c.name} }

func (c *consumer) wants(subject string) bool { return subject == c.name || !isTick(subject) }

// take takes a new message. The stream's mutex is held.
func (c *consumer) take(m *message) {
	c.queue = append(c.queue, m)
	c.push()
}

// push hands on those that wait. The stream's mutex is held.
func (c *consumer) push() {
	for c.open != nil && len(c.queue) > 0 {
		m := c.queue[0]
		c.queue = c.queue[1:]
		c.open <- m // it has room for all that are left
		if isTick(m.subject) {
			c.of.counts.ticksDelivered++
		} else {
			c.of.counts.purgesDelivered++
		}
		if c.left--; c.left == 0 {
			c.end()
		}
	}
}

// end ends the request under way. The stream's mutex is held.
func (c *consumer) end() {
	close(c.open)
	c.open = nil
}

// Fetch has messages handed on as they come.
func (c *consumer) Fetch(n int, _ ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	if n > batchSize {
		return nil, fmt.Errorf("%d messages at once", n)
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.open != nil {
		c.end()
	}
	open := make(chan jetstream.Msg, n)
	c.open, c.left = open, n
	time.AfterFunc(batchFor, func() {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		if c.open == open {
			c.end()
		}
	})
	c.push()
	return batch(open), nil
}

type batch chan jetstream.Msg

func (b batch) Messages() <-chan jetstream.Msg { return b }
func (b batch) Error() error                   { return nil }
