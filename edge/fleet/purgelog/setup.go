package purgelog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Stream is the name of the stream.
	Stream = "PURGE"
	// idKey has the id of the log in the metadata of the stream.
	idKey = "pkgedge_log"
	// changeKept is how long the log keeps a change of a registry's feed. An edge that was away
	// for so long puts all metadata in doubt.
	changeKept = 48 * time.Hour
	// duplicates is for how long a message that is sent again is known by its ID.
	duplicates = 2 * time.Minute
)

// stream is the configuration of the log.
func stream(replicas int, id string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: Stream, Description: "Purges of a fleet of edges, made by edge fleet init", Subjects: []string{subjects},
		Storage: jetstream.FileStorage, Replicas: replicas, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxMsgsPerSubject: 1, MaxMsgs: -1, MaxBytes: -1, MaxConsumers: -1, MaxMsgSize: 64 << 10, DenyDelete: true, DenyPurge: true, AllowDirect: true, AllowMsgTTL: true,
		Duplicates: duplicates, Metadata: map[string]string{idKey: id},
	}
}

// Init makes the log, where there is none. made is false for one that was there. An edge never
// calls it: the loss of a log must be seen, and one that an edge makes anew hides it.
func Init(ctx context.Context, js jetstream.JetStream, replicas int) (id string, made bool, err error) {
	s, err := js.Stream(ctx, Stream)
	if err == nil {
		id, err = idOf(s.CachedInfo())
		return id, false, err
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return "", false, fmt.Errorf("cannot look for the stream %s: %w", Stream, err)
	}
	id = rand.Text()
	if _, err := js.CreateStream(ctx, stream(replicas, id)); err != nil {
		return "", false, fmt.Errorf("cannot make the stream %s: %w", Stream, err)
	}
	return id, true, nil
}

// errForeign is for a stream of that name that is no log.
var errForeign = errors.New("the stream " + Stream + " was not made by edge fleet init: it has no id, or keeps more than one message of a subject")

func idOf(info *jetstream.StreamInfo) (string, error) {
	id := info.Config.Metadata[idKey]
	if id == "" || info.Config.MaxMsgsPerSubject != 1 {
		return "", errForeign
	}
	return id, nil
}
