package value

import (
	"math"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "4096": 4096, "12B": 12, "1KB": 1e3, "1KiB": 1 << 10, "256MiB": 256 << 20, "256 mib": 256 << 20,
		"1GB": 1e9, "10GiB": 10 << 30, "3TB": 3e12, "2TiB": 2 << 40, "9223372036854775807": math.MaxInt64,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "B", "MiB", "1K", "1.5GiB", "1GiBs", "GiB1", "-1", "1 2", "9223372036854775808", "8388608TiB", "0x10"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d; want an error", text, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "5m": 5 * time.Minute, "24h": 24 * time.Hour, "8760h": 8760 * time.Hour,
		"30d": 720 * time.Hour, "1d12h30m": 36*time.Hour + 30*time.Minute, "0d": 0, "36500d": 876000 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "1dd", "1d-1h", "-1d", "-1s", "1.5d", "1w", "36500d1ns", "36501d", "99999999h", "1h1d", "forever"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v; want an error", text, got)
		}
	}
}

func FuzzSizeAndDurationAreReadAsWritten(f *testing.F) {
	f.Add(int64(0))
	f.Add(int64(10 << 30))
	f.Add(int64(3600e9))
	f.Add(int64(90061e9 + 1))
	f.Fuzz(func(t *testing.T, n int64) {
		if n < 0 {
			n = ^n
		}
		if got, err := ParseSize(FormatSize(n)); err != nil || got != n {
			t.Errorf("%d is written %s and read %d, %v", n, FormatSize(n), got, err)
		}
		d := time.Duration(n) % (36500 * 24 * time.Hour)
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Errorf("%v is written %s and read %v, %v", d, FormatDuration(d), got, err)
		}
	})
}
