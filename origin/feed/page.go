package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	maxPage  = 32 << 20 // bytes of a page that is read
	maxRows  = 10_000   // asked for in a page: the public API gives no more
	maxBatch = 1000     // changes handed over at once
)

var (
	// errNotFeed is an answer that is no change feed.
	errNotFeed = errors.New("the answer is no change feed")
	// errReset: the feed does not know our sequence, or has gone back.
	errReset = errors.New("sequence was reset")
	// errNoStream: the server does not stream.
	errNoStream = errors.New("the server does not stream")
)

// page is the end of a page, behind its rows.
type page struct {
	rows    int
	last    sequence
	pending *int64 // rows to come; nil where the server does not say
}

// readPage reads a page of a plain feed and gives each row to take, whose error
// ends it. A page of more than limit bytes is read so far, and the next begins there.
func readPage(body io.Reader, limit int64, take func(*row) error) (p page, err error) {
	limited := &io.LimitedReader{R: body, N: limit}
	d := json.NewDecoder(limited)
	defer func() {
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			if limited.N <= 0 && p.rows > 0 { // the rows that were read count
				err = nil
				return
			}
			err = fmt.Errorf("the answer was cut off: %w", io.ErrUnexpectedEOF)
		case syntax(err):
			err = fmt.Errorf("%w: %w", errNotFeed, err)
		}
	}()
	if err := delim(d, '{'); err != nil {
		return p, err
	}
	listed := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return p, err
		}
		switch key {
		case "results":
			listed = true
			err = p.read(d, take)
		case "last_seq":
			err = d.Decode(&p.last)
		case "pending":
			err = d.Decode(&p.pending)
		default:
			err = d.Decode(new(json.RawMessage))
		}
		if err != nil {
			return p, err
		}
	}
	if err := delim(d, '}'); err != nil {
		return p, err
	}
	if !listed || p.last == "" {
		return p, fmt.Errorf("%w: it lacks results or last_seq", errNotFeed)
	}
	return p, nil
}

// read reads the array of rows.
func (p *page) read(d *json.Decoder, take func(*row) error) error {
	if err := delim(d, '['); err != nil {
		return err
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		p.rows++
		r := parseRow(raw)
		r.broken = r.broken || r.ID == ""
		if err := take(&r); err != nil {
			return err
		}
	}
	return delim(d, ']')
}

func delim(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err == nil && t != want {
		err = fmt.Errorf("%w: %v in the place of %v", errNotFeed, t, want)
	}
	return err
}

// syntax reports whether err is about the bytes that were read, and not about the reading.
func syntax(err error) bool {
	var bad *json.SyntaxError
	var odd *json.UnmarshalTypeError
	return errors.As(err, &bad) || errors.As(err, &odd)
}
