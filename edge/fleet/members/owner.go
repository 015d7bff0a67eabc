package members

import "github.com/cespare/xxhash/v2"

// Owner is the member that fetches the thing of a key: the one whose name together with the key
// has the largest hash. usable says whether a member counts. It is "" where none does.
func Owner(members []string, key string, usable func(member string) bool) (owner string) {
	var most uint64
	for _, m := range members {
		if h := hash(m, key); (owner == "" || h > most || h == most && m > owner) && usable(m) {
			owner, most = m, h
		}
	}
	return owner
}

// hash is the hash of two names. A byte that is in neither of them stands between.
func hash(member, key string) uint64 {
	var buf [256]byte
	b := append(buf[:0], member...)
	b = append(b, 0)
	b = append(b, key...)
	return xxhash.Sum64(b)
}
