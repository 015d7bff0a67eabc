package tls

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestZapLogsReachSlog(t *testing.T) {
	var out bytes.Buffer
	log := zapTo(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	log.Debug("not written")
	log.Named("obtain").With(zap.String("identifier", "edge.example")).Warn("waiting",
		zap.Int("attempt", 2), zap.Duration("for", time.Minute), zap.Error(errors.New("CA down")))
	log.Info("plain")
	log.Error("bad", zap.Strings("names", []string{"a", "b"}), zap.Skip())
	log.DPanic("worse")

	const want = `level=WARN msg=waiting identifier=edge.example logger=obtain attempt=2 for=1m0s error="CA down"
level=INFO msg=plain
level=ERROR msg=bad names="[a b]"
level=ERROR msg=worse
`
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
