package faults

import (
	"pkgedge/origin/sample"
)

// Master is a sample master that remembers the requests it received and goes
// wrong on command. It is safe for concurrent use, and its faults may change while
// it serves.
type Master struct {
	*sample.Master
	rules   rules
	journal journal
}

// Option is a choice at the making of a [Master].
type Option func(*sample.Options)

// Under mounts the registry below a base path such as "/registry".
func Under(path string) Option { return func(o *sample.Options) { o.Base = path } }

// CacheControl is the Cache-Control of metadata. Empty sends none.
func CacheControl(value string) Option {
	if value == "" {
		value = "none"
	}
	return func(o *sample.Options) { o.CacheControl = value }
}

// NewMaster makes a master that serves store.
func NewMaster(store *sample.Store, options ...Option) *Master {
	m := &Master{}
	o := sample.Options{Intercept: m.intercept}
	for _, option := range options {
		option(&o)
	}
	m.Master = sample.NewMaster(store, o)
	return m
}

// intercept answers a request with the faults that are in force for it.
func (m *Master) intercept(x *sample.Exchange) {
	rec := newRecord(x)
	faults := m.rules.take(rec)
	var a *sample.Answer
	for _, f := range faults {
		if f.instead != nil {
			a = f.instead(x.Request)
			a.Fields.Del("Content-Length")
			a.Length = len(a.Body)
			break
		}
	}
	if a == nil {
		a = x.Answer()
	}
	send := func(x exchange) { x.Send(x.answer) }
	for _, f := range faults {
		if f.change != nil {
			f.change(a)
		}
		if f.send != nil {
			send = f.send
		}
	}
	m.journal.add(rec) // only now: a test that waits for it may rely on the answer being made
	send(exchange{x, a})
}
