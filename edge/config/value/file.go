package value

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// MaxFile is the size of the largest file that is read, in bytes.
const MaxFile = 1 << 20

// ReadFile reads a file that a configuration names, or the configuration itself, of up to MaxFile bytes.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Cannot("read it", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, Cannot("read it", err)
	}
	if len(text) > MaxFile {
		return nil, fmt.Errorf("is larger than %s: this is not a configuration", FormatSize(MaxFile))
	}
	return text, nil
}

// Cannot says that an operation failed. It leaves out the path, which stands before
// it in the text of a problem.
func Cannot(do string, err error) error {
	if pe := (*os.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("cannot %s: %w", do, err)
}
