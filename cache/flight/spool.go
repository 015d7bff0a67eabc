package flight

import "pkgedge/cache/store"

// The methods of this file are the fill's side of a spooled response: its bytes are in the
// writer, and readers wait as if it had not begun. One goroutine calls them.

// Spool keeps a Meta, with the writer's bytes, from the readers until Release or Finish.
func (f *Flight) Spool(m *store.Meta) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spooled = m
}

// Spooled says whether readers wait for a spooled response.
func (f *Flight) Spooled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spooled != nil
}

// Release publishes a spooled response.
func (f *Flight) Release() {
	f.mu.Lock()
	m := f.spooled
	f.spooled = nil
	f.mu.Unlock()
	if m != nil {
		f.Publish(m)
	}
}

// Unspool drops a spooled response with its bytes, so that another one can begin.
func (f *Flight) Unspool() {
	f.mu.Lock()
	if f.spooled == nil {
		f.mu.Unlock()
		return
	}
	dropped := f.writer
	f.spooled, f.writer, f.inStore = nil, nil, 0
	f.mu.Unlock()
	dropped.Abort()
}
