package config

import (
	"slices"
	"testing"

	"pkgedge/tls"
)

func TestChallenges(t *testing.T) {
	for _, tt := range []struct {
		listen    string
		challenge Challenge
		want      []tls.Challenge
	}{
		{":80", ChallengeAuto, []tls.Challenge{tls.TLSALPN, tls.HTTP}},
		{":8080", ChallengeAuto, []tls.Challenge{tls.TLSALPN}},
		{"", ChallengeAuto, []tls.Challenge{tls.TLSALPN}},
		{":80", ChallengeTLSALPN, []tls.Challenge{tls.TLSALPN}},
		{":8080", ChallengeHTTP, []tls.Challenge{tls.HTTP}},
	} {
		c := Config{Listen: tt.listen, TLS: TLS{Challenge: tt.challenge}}
		if got := c.Challenges(); !slices.Equal(got, tt.want) {
			t.Errorf("listen %q, %s: %v; want %v", tt.listen, tt.challenge, got, tt.want)
		}
	}
}
