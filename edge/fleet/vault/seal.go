package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// errSeal is for a value that another key has sealed, or that somebody has changed.
var errSeal = errors.New("it was sealed by another fleet.seal, or changed since")

// version is the first byte of a sealed value.
const version = 1

// sealer seals values by AES-256-GCM with random nonces of 96 bits (NIST SP 800-38D): it may
// seal billions of them, and a fleet seals a few in a month.
type sealer struct{ aead cipher.AEAD }

func newSealer(secret string) (sealer, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "edge fleet certificates 1", 32)
	if err != nil {
		return sealer{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCM(block)
	return sealer{aead}, err
}

// seal seals the value of a name.
func (s sealer) seal(name string, value []byte) []byte {
	sealed := make([]byte, 1+s.aead.NonceSize(), 1+s.aead.NonceSize()+len(value)+s.aead.Overhead())
	sealed[0] = version
	rand.Read(sealed[1:]) // never fails
	return s.aead.Seal(sealed, sealed[1:], value, []byte(name))
}

// open returns the value of a name.
func (s sealer) open(name string, sealed []byte) ([]byte, error) {
	head := 1 + s.aead.NonceSize()
	if len(sealed) < head || sealed[0] != version {
		return nil, fmt.Errorf("%w: its form is unknown", errSeal)
	}
	value, err := s.aead.Open(nil, sealed[1:head], sealed[head:], []byte(name))
	if err != nil {
		return nil, errSeal
	}
	return value, nil
}

// size is the size of a sealed value.
func (s sealer) size(sealed int) int64 {
	return int64(max(sealed-1-s.aead.NonceSize()-s.aead.Overhead(), 0))
}
