package recent

import (
	"maps"
	"slices"
	"time"
)

// Map keeps values by key. It is made by New.
type Map[K comparable, V any] struct {
	most  int
	keep  time.Duration
	byKey map[K]value[V]
}

type value[V any] struct {
	it V
	at time.Time
}

// New returns a map that keeps each value for a time, and so many at most.
func New[K comparable, V any](most int, keep time.Duration) *Map[K, V] {
	return &Map[K, V]{most: most, keep: keep, byKey: make(map[K]value[V])}
}

// Put sets the value of a key.
func (m *Map[K, V]) Put(key K, it V, now time.Time) {
	if _, ok := m.byKey[key]; !ok && len(m.byKey) >= m.most {
		m.evict(now)
	}
	m.byKey[key] = value[V]{it, now}
}

// evict makes room: first that of values whose time is over.
func (m *Map[K, V]) evict(now time.Time) {
	maps.DeleteFunc(m.byKey, func(_ K, v value[V]) bool { return now.Sub(v.at) >= m.keep })
	excess := len(m.byKey) - m.most + max(1, m.most/8)
	if excess <= 0 {
		return
	}
	byAge := slices.SortedFunc(maps.Keys(m.byKey), func(a, b K) int { return m.byKey[a].at.Compare(m.byKey[b].at) })
	for _, key := range byAge[:excess] {
		delete(m.byKey, key)
	}
}

// Get returns the value of a key, and when it was put.
func (m *Map[K, V]) Get(key K, now time.Time) (it V, at time.Time, ok bool) {
	v, ok := m.byKey[key]
	if ok && now.Sub(v.at) >= m.keep {
		delete(m.byKey, key)
		v, ok = value[V]{}, false
	}
	return v.it, v.at, ok
}

// Delete forgets a key.
func (m *Map[K, V]) Delete(key K) { delete(m.byKey, key) }

// Len is how many values are kept, those included whose time is over.
func (m *Map[K, V]) Len() int { return len(m.byKey) }
