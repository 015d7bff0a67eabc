package feed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// lines reads a continuous feed: a row on each line, and blank lines for
// heartbeats.
type lines struct {
	r     *bufio.Reader
	known bool // a line has been a row
}

func newLines(body io.Reader) *lines { return &lines{r: bufio.NewReaderSize(body, maxRow)} }

// next reads a line. Of a heartbeat both results are nil; a line that is too long
// or cannot be read is a broken row. The error is io.EOF at a clean end.
func (l *lines) next() (*row, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r := salvage(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.r.ReadSlice('\n')
		}
		return &r, err
	}
	line = bytes.TrimSpace(line)
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return nil, io.ErrUnexpectedEOF // a line without its end may be half of one
	}
	if err != nil || len(line) == 0 {
		return nil, err
	}
	r := parseRow(line)
	if l.known {
		return &r, nil
	}
	switch { // the first line tells the form of the whole answer
	case bytes.HasPrefix(line, []byte(`{"results"`)):
		return nil, errNoStream
	case r.broken && r.ID == "":
		return nil, fmt.Errorf("%w: it begins with %.40q", errNotFeed, line)
	}
	l.known = true
	return &r, nil
}

// more says that another whole line is here already.
func (l *lines) more() bool {
	ahead, _ := l.r.Peek(l.r.Buffered())
	return bytes.IndexByte(ahead, '\n') >= 0
}
