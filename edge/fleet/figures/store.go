package figures

// Store describes the shared store, and the requests to it.
type Store struct {
	State string `json:"state"` // "well" or "out"
	Queue int    `json:"queue"` // files that wait to be put

	// Files asked for, answered, missing or from before a purge, failed, and answered with
	// something that was no good; and the bytes of the answers.
	Asked    int64 `json:"asked"`
	Answered int64 `json:"answered"`
	Missing  int64 `json:"missing"`
	Failed   int64 `json:"failed"`
	Unusable int64 `json:"unusable"`
	Bytes    int64 `json:"bytes"`

	// Files put, that the store had already, dropped, and put in vain; and the bytes put.
	Put       int64 `json:"put"`
	Had       int64 `json:"had"`
	Dropped   int64 `json:"dropped"`
	PutFailed int64 `json:"put_failed"`
	PutBytes  int64 `json:"put_bytes"`

	// Of hard purges: files deleted, and packages whose files are still to be.
	Deleted int64 `json:"deleted"`
	Purging int   `json:"purging"`
}
