package gauges

import (
	"pkgedge/edge/admin"
	"pkgedge/edge/fleet/figures"
)

// Siblings registers the figures of the edges that share their fetches.
func Siblings(m *admin.Metrics, status func() figures.Siblings) {
	each := func(emit func(s *figures.Siblings, emit admin.Emit)) func(admin.Emit) {
		return func(to admin.Emit) {
			s := status()
			emit(&s, to)
		}
	}
	m.Counters("edge_fleet_asked_total", "Requests to siblings, by their result: answered, refused, failed, unusable. All but the first went on to the masters.", []string{"result"},
		each(func(s *figures.Siblings, emit admin.Emit) {
			emit(float64(s.Answered), "answered")
			emit(float64(s.Refused), "refused")
			emit(float64(s.Failed), "failed")
			emit(float64(s.Unusable), "unusable")
		}))
	m.Counters("edge_fleet_asked_bytes_total", "Bytes of the answers of siblings.", nil, each(func(s *figures.Siblings, emit admin.Emit) { emit(float64(s.Bytes)) }))
	m.Counters("edge_fleet_served_total", "Requests of siblings, by their result: answered, declined, stranger.", []string{"result"},
		each(func(s *figures.Siblings, emit admin.Emit) {
			emit(float64(s.Served), "answered")
			emit(float64(s.Declined), "declined")
			emit(float64(s.Strangers), "stranger")
		}))
	m.Counters("edge_fleet_served_bytes_total", "Bytes of the answers to siblings.", nil, each(func(s *figures.Siblings, emit admin.Emit) { emit(float64(s.ServedBytes)) }))
	m.Gauges("edge_fleet_member_up", "0 for a sibling that does not answer.", []string{"member"}, each(func(s *figures.Siblings, emit admin.Emit) {
		for _, member := range s.Members {
			emit(truth(member.State != "out"), member.Address)
		}
	}))
}

// Store registers the figures of the shared store.
func Store(m *admin.Metrics, status func() figures.Store) {
	each := func(emit func(s *figures.Store, emit admin.Emit)) func(admin.Emit) {
		return func(to admin.Emit) {
			s := status()
			emit(&s, to)
		}
	}
	m.Counters("edge_fleet_store_asked_total", "Files that the shared store was asked for, by the result: answered, missing, failed, unusable.", []string{"result"},
		each(func(s *figures.Store, emit admin.Emit) {
			emit(float64(s.Answered), "answered")
			emit(float64(s.Missing), "missing")
			emit(float64(s.Failed), "failed")
			emit(float64(s.Unusable), "unusable")
		}))
	m.Counters("edge_fleet_store_asked_bytes_total", "Bytes of files from the shared store.", nil, each(func(s *figures.Store, emit admin.Emit) { emit(float64(s.Bytes)) }))
	m.Counters("edge_fleet_store_put_total", "Files for the shared store, by the result: put, had, dropped, failed.", []string{"result"},
		each(func(s *figures.Store, emit admin.Emit) {
			emit(float64(s.Put), "put")
			emit(float64(s.Had), "had")
			emit(float64(s.Dropped), "dropped")
			emit(float64(s.PutFailed), "failed")
		}))
	m.Counters("edge_fleet_store_put_bytes_total", "Bytes of files put into the shared store.", nil, each(func(s *figures.Store, emit admin.Emit) { emit(float64(s.PutBytes)) }))
	m.Counters("edge_fleet_store_deleted_total", "Files that hard purges deleted from the shared store.", nil, each(func(s *figures.Store, emit admin.Emit) { emit(float64(s.Deleted)) }))
	m.Gauges("edge_fleet_store_queue", "Files that wait to be put into the shared store.", nil, each(func(s *figures.Store, emit admin.Emit) { emit(float64(s.Queue)) }))
	m.Gauges("edge_fleet_store_up", "0 while the shared store does not answer.", nil, each(func(s *figures.Store, emit admin.Emit) { emit(truth(s.State == "well")) }))
}
