package main

import (
	"sync"
	"testing"
)

func TestALeaseEndsWithItsLastUserAndForGood(t *testing.T) {
	l := newLease()
	if !l.take() {
		t.Fatal("a new lease cannot be taken")
	}
	l.drop() // its owner
	select {
	case <-l.ended:
		t.Fatal("ended with a user left")
	default:
	}
	if !l.take() {
		t.Error("a lease with a user cannot be taken")
	}
	l.drop()
	l.drop()
	<-l.ended
	if l.take() {
		t.Error("a lease that has ended was taken")
	}
}

func TestALeaseUnderLoadEndsOnce(t *testing.T) {
	l := newLease()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if l.take() {
					l.drop()
				}
			}
		})
	}
	l.drop() // closing ended twice would panic
	wg.Wait()
	<-l.ended
}

func BenchmarkLease(b *testing.B) {
	l := newLease()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.take()
			l.drop()
		}
	})
}
