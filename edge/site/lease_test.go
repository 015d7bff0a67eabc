package site

import (
	"sync"
	"testing"
)

func TestALeaseEndsWithItsLastUserAndForGood(t *testing.T) {
	l := NewLease()
	if !l.Acquire() {
		t.Fatal("a new lease cannot be taken")
	}
	l.Release() // its owner
	select {
	case <-l.ended:
		t.Fatal("ended with a user left")
	default:
	}
	if !l.Acquire() {
		t.Error("a lease with a user cannot be taken")
	}
	l.Release()
	l.Release()
	<-l.ended
	if l.Acquire() {
		t.Error("a lease that has ended was taken")
	}
}

func TestALeaseUnderLoadEndsOnce(t *testing.T) {
	l := NewLease()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if l.Acquire() {
					l.Release()
				}
			}
		})
	}
	l.Release() // closing ended twice would panic
	wg.Wait()
	<-l.ended
}

func BenchmarkLease(b *testing.B) {
	l := NewLease()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Acquire()
			l.Release()
		}
	})
}
