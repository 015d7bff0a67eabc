package report

import (
	"testing"
	"time"
)

func TestHumanBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 5<<30 + 1<<29: "5.5 GiB", 1 << 60: "1048576.0 TiB",
	} {
		if got := HumanBytes(n); got != want {
			t.Errorf("humanBytes(%d) = %q; want %q", n, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 1499 * time.Millisecond: "1s", time.Minute: "1m", 61 * time.Second: "1m 1s",
		time.Hour + 59*time.Second: "1h", 90 * time.Minute: "1h 30m", 49 * time.Hour: "2d 1h", 72 * time.Hour: "3d",
	} {
		if got := Age(d); got != want {
			t.Errorf("Age(%v) = %q; want %q", d, got, want)
		}
	}
}
