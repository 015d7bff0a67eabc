package disk

import (
	"container/list"
	"math"
	"math/rand/v2"
	"testing"

	"pkgedge/cache/sieve"
	"pkgedge/cache/store"
)

// BenchmarkEviction replays a registry's day against the index and two other
// policies, each with space for a twentieth of the bytes, and prints the share of the
// requests and of the bytes that each answers:
//
//	go test -run xxx -bench Eviction -benchtime 1x -v ./cache
//
// A quarter of the requests is for objects that are never requested again. Sizes are
// log-normal around 20 kB; one in ten objects is metadata. With drift, popularity changes:
// every 1,000 requests an object changes places with another.
func BenchmarkEviction(b *testing.B) {
	const requests, objects = 1_000_000, 200_000
	for name, drift := range map[string]bool{"steady": false, "drift": true} {
		trace, total := replay(requests, objects, drift)
		room := total / 20
		for _, policy := range []struct {
			name string
			make func(room int64) evictionPolicy
		}{
			{"LRU", newLRU},
			{"S3-FIFO", newS3FIFO},
			{"SIEVE", func(room int64) evictionPolicy { return &sievePolicy{sieve.New(), room, false} }},
			{"SIEVE, metadata longer", func(room int64) evictionPolicy { return &sievePolicy{sieve.New(), room, true} }},
		} {
			b.Run(name+"/"+policy.name, func(b *testing.B) {
				for b.Loop() {
					p := policy.make(room)
					var hits, bytes, all, metadata, named int64
					for _, r := range trace {
						hit := p.ask(r)
						all += r.size
						if r.metadata {
							named++
						}
						if hit {
							hits++
							bytes += r.size
							if r.metadata {
								metadata++
							}
						}
					}
					b.ReportMetric(100*float64(hits)/requests, "%hits")
					b.ReportMetric(100*float64(bytes)/float64(all), "%bytes")
					b.ReportMetric(100*float64(metadata)/float64(named), "%metadata")
				}
			})
		}
	}
}

type asked struct {
	sum      store.Sum
	size     int64
	metadata bool
}

// evictionPolicy answers a request from its objects, or adds the object.
type evictionPolicy interface{ ask(r asked) bool }

// replay makes a trace, the same each time, and the bytes of all its objects.
func replay(requests, objects int, drift bool) (trace []asked, total int64) {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.01, 1, uint64(objects-1))
	made := 0
	object := func() asked {
		made++
		size := int64(20_000 * math.Exp(1.5*r.NormFloat64()))
		a := asked{sum: store.Key{ID: string(rune(made)), Site: string(rune(made >> 16))}.Sum(), size: onDisk(min(size, 50<<20)), metadata: made%10 == 0}
		total += a.size
		return a
	}
	popular := make([]asked, objects)
	for i := range popular {
		popular[i] = object()
	}
	for i := range requests {
		if drift && i%1000 == 0 {
			j, k := zipf.Uint64(), r.IntN(objects)
			popular[j], popular[k] = popular[k], popular[j]
		}
		if r.IntN(4) == 0 {
			trace = append(trace, object())
			continue
		}
		trace = append(trace, popular[zipf.Uint64()])
	}
	return trace, total
}

// sievePolicy is the disk tier's.
type sievePolicy struct {
	index  *sieve.Set
	room   int64
	favour bool // metadata
}

func (p *sievePolicy) ask(r asked) bool {
	if p.index.Has(r.sum) {
		p.index.Touch(r.sum, new(sieve.Visit))
		return true
	}
	visits := visitsOf(store.Key{Metadata: r.metadata && p.favour})
	for p.index.Used.Load()+r.size > p.room {
		p.index.Evict()
	}
	p.index.Commit(r.sum, r.size, visits)
	return false
}

type lru struct {
	room, used int64
	at         map[store.Sum]*list.Element
	order      list.List // newest first
}

func newLRU(room int64) evictionPolicy {
	return &lru{room: room, at: make(map[store.Sum]*list.Element)}
}

func (p *lru) ask(r asked) bool {
	if e, ok := p.at[r.sum]; ok {
		p.order.MoveToFront(e)
		return true
	}
	for p.used += r.size; p.used > p.room; {
		e := p.order.Back()
		p.used -= e.Value.(asked).size
		delete(p.at, e.Value.(asked).sum)
		p.order.Remove(e)
	}
	p.at[r.sum] = p.order.PushFront(r)
	return false
}

// s3fifo is S3-FIFO by bytes: a tenth of the room is for newcomers, those asked
// for again go to the main queue, and the names of those that were not are kept
// for as many bytes as the main queue has.
type s3fifo struct {
	room               int64
	small, main, ghost fifo
	in                 map[store.Sum]*s3entry
	ghosts             map[store.Sum]bool
}

type s3entry struct {
	asked
	hits   int
	inMain bool
}

type fifo struct {
	list.List
	bytes int64
}

func newS3FIFO(room int64) evictionPolicy {
	return &s3fifo{room: room, in: make(map[store.Sum]*s3entry), ghosts: make(map[store.Sum]bool)}
}

func (p *s3fifo) ask(r asked) bool {
	if e, ok := p.in[r.sum]; ok {
		e.hits = min(e.hits+1, 3)
		return true
	}
	for p.small.bytes+p.main.bytes+r.size > p.room {
		if p.small.bytes > p.room/10 || p.main.Len() == 0 {
			p.evictSmall()
		} else {
			p.evictMain()
		}
	}
	e := &s3entry{asked: r}
	p.in[r.sum] = e
	q := &p.small
	if p.ghosts[r.sum] {
		q, e.inMain = &p.main, true
	}
	q.PushFront(e)
	q.bytes += r.size
	return false
}

func (p *s3fifo) evictSmall() {
	back := p.small.Back()
	e := p.small.Remove(back).(*s3entry)
	p.small.bytes -= e.size
	if e.hits > 0 {
		e.hits, e.inMain = 0, true
		p.main.PushFront(e)
		p.main.bytes += e.size
		return
	}
	delete(p.in, e.sum)
	p.ghosts[e.sum] = true
	p.ghost.PushFront(e.asked)
	for p.ghost.bytes += e.size; p.ghost.bytes > p.room*9/10; {
		g := p.ghost.Remove(p.ghost.Back()).(asked)
		p.ghost.bytes -= g.size
		delete(p.ghosts, g.sum)
	}
}

func (p *s3fifo) evictMain() {
	for {
		e := p.main.Remove(p.main.Back()).(*s3entry)
		if e.hits == 0 {
			p.main.bytes -= e.size
			delete(p.in, e.sum)
			return
		}
		e.hits--
		p.main.PushFront(e)
	}
}
