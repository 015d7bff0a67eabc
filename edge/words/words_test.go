package words

import (
	"errors"
	"fmt"
	"testing"

	"pkgedge/origin"
)

func trial(role, did string) *origin.Trial {
	return &origin.Trial{Name: "https://" + role + ".example", Role: role, Err: &origin.Blame{Did: did, Unanswered: true, Err: errors.New("secret.example")}}
}

func TestFailure(t *testing.T) {
	refused, slow, spare := trial("primary", "refused the connection"), trial("replica", "timed out"), trial("spare", "refused the connection")
	down := func(sent bool, tried ...error) error {
		return fmt.Errorf("cannot fetch: %w", &origin.Unavailable{Sent: sent, Tried: tried})
	}
	for name, tt := range map[string]struct {
		about About
		err   error
		want  string
	}{
		"of nobody":                {About{}, errors.New("secret.example"), "the registry gave no usable answer"},
		"of an origin":             {About{Transparent: true}, errors.New("secret.example"), "the origin gave no usable answer"},
		"of a master":              {About{}, refused.Err, "the registry refused the connection"},
		"nothing is stored":        {About{Stored: true}, down(false, refused), "the registry refused the connection, and no copy is stored here"},
		"none was asked":           {About{}, down(false), "the registry gave no usable answer"},
		"all did alike":            {About{}, down(false, refused, spare), "every server of the registry that was asked refused the connection"},
		"each did something else":  {About{}, down(false, refused, slow), "the registry's primary refused the connection, its replica timed out"},
		"one did it twice":         {About{}, down(false, refused, slow, slow), "the registry's primary refused the connection, its replica timed out"},
		"of the primary":           {About{Primary: true}, down(false, refused), "the registry's primary refused the connection"},
		"a write that was sent":    {About{Primary: true, Write: "publish"}, down(true, refused), "the registry's primary refused the connection: the publish may have taken effect, so look before you repeat it"},
		"a write that was not":     {About{Primary: true, Write: "login"}, down(false, refused), "the registry's primary refused the connection: the login was not sent"},
		"a write of no known name": {About{Primary: true, Write: "dist-tags"}, down(false, refused), "the registry's primary refused the connection: the change was not sent"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Failure(tt.about, tt.err); got != tt.want {
				t.Errorf("%q; want %q", got, tt.want)
			}
		})
	}
}
