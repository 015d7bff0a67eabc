//go:build !linux

package cache

import "errors"

// statSpace cannot tell; the configured size is the only bound then.
func statSpace(string) (space, error) { return space{}, errors.ErrUnsupported }
