package framing

import "bytes"

// Messages that do not come at once: bodies, and heads in parts.

// step follows bytes of one stage, and returns how many there are.
func (c *Conn) step(b []byte) (size int, err error) {
	switch c.stage {
	case atHead:
		return c.partOfHead(b)
	case inBody, inChunk:
		size = int(min(int64(len(b)), c.left))
		c.left -= int64(size)
		switch {
		case c.left > 0:
		case c.stage == inChunk:
			c.stage = afterChunk
		default:
			c.stage = atEnd
		}
		return size, nil
	}
	line, size, err := c.lineOf(b)
	if line == nil || err != nil {
		return size, err
	}
	switch c.stage {
	case atChunk:
		c.left, err = chunkSize(line)
		if c.stage = inChunk; c.left == 0 {
			c.stage, c.left = atTrailer, maxTrailers
		}
	case afterChunk:
		if c.stage = atChunk; len(line) > 0 {
			err = errChunk
		}
	case atTrailer:
		if c.left -= int64(len(line) + len(crlf)); c.left < 0 {
			err = errTrailer
		} else if len(line) > 0 {
			err = trailer(line)
		} else {
			c.stage = atEnd
		}
	}
	c.part = nil
	return size, err
}

// partOfHead follows a head that comes in parts. They are handed up, so that net/http's
// deadlines hold, but for the last one of a head that is refused.
func (c *Conn) partOfHead(b []byte) (size int, err error) {
	from := len(c.part)
	c.part = append(c.part, b...)
	for {
		n := bytes.IndexByte(c.part[from:], '\n')
		if n < 0 {
			break
		}
		from += n + 1
		line, _, err := cutLine(c.part[c.line:from])
		switch c.line = from; {
		case err != nil:
		case !c.judged.begun:
			_, _, err = c.judged.begin(line)
		case len(line) == 0:
			return from - (len(c.part) - len(b)), c.wholeHead(c.part[:from])
		default:
			_, err = c.judged.field(line)
		}
		if err != nil {
			return 0, err
		}
	}
	if len(c.part) > maxHead {
		return 0, errHeadLimit
	}
	return len(b), nil
}

func (c *Conn) wholeHead(b []byte) error {
	h := heads.Get().(*Head)
	defer heads.Put(h)
	size, err := h.Parse(b)
	if err == nil && size != len(b) {
		err = errRequest
	}
	if err == nil {
		c.begin(h)
	}
	return err
}

// lineOf returns a line of a body's framing, without its CRLF, and how many bytes of b are
// of it. The line is nil where its end has not come.
func (c *Conn) lineOf(b []byte) (line []byte, size int, err error) {
	size = bytes.IndexByte(b, '\n') + 1
	whole := size > 0
	if !whole {
		size = len(b)
	}
	if len(c.part)+size > maxLine || c.stage == afterChunk && b[0] != crlf[len(c.part)] {
		return nil, 0, errChunk
	}
	line = b[:size]
	if !whole || len(c.part) > 0 {
		c.part = append(c.part, line...)
		line = c.part
	}
	if !whole {
		return nil, size, nil
	}
	line, _, err = cutLine(line)
	return line, size, err
}
