//go:build !linux

package fsys

import "errors"

// statSpace cannot tell; the configured size is the only bound then.
func statSpace(string) (Space, error) { return Space{}, errors.ErrUnsupported }
