package counted

import "sync"

// Values are shared by key. The zero Values are empty. They are safe for concurrent
// use.
type Values[T any] struct {
	mu    sync.Mutex
	byKey map[string]*value[T]
}

type value[T any] struct {
	it    T
	users int
}

// Acquire returns the value of a key, which create makes for the first user. It
// must be followed by one Release.
func (v *Values[T]) Acquire(key string, create func() T) T {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byKey == nil {
		v.byKey = make(map[string]*value[T])
	}
	found := v.byKey[key]
	if found == nil {
		found = &value[T]{it: create()}
		v.byKey[key] = found
	}
	found.users++
	return found.it
}

// Release takes a user away.
func (v *Values[T]) Release(key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byKey[key].users--; v.byKey[key].users == 0 {
		delete(v.byKey, key)
	}
}
