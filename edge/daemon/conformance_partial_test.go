package daemon

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Ranges and partial content (RFC 9110 section 14, RFC 9111 sections 3.3 and
// 3.4).

func TestPartialContent(t *testing.T) {
	t.Parallel()
	conform(t, slicesOf(ranges(), ifRanges(), pieces(), combinations()))
}

const digits = "0123456789"

// ranges are asked of a stored response of ten digits.
func ranges() []row {
	of := func(rule, set string, then step) row {
		then.fields = append([]string{"Range: " + set}, then.fields...)
		return row{rfc: "9110 14.2", rule: rule, steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", `ETag: "v"`, "Content-Type: text/plain").with(digits).want(200, "Accept-Ranges: bytes"), then.hit(),
		}}
	}
	part := func(first, last int) step {
		return get().want(206, fmt.Sprintf("Content-Range: bytes %d-%d/10", first, last), fmt.Sprintf("Content-Length: %d", last-first+1),
			`ETag: "v"`, "Content-Type: text/plain", "Cache-Control: max-age=3600", "Date: *", "Age: *").body(digits[first : last+1])
	}
	whole := get().want(200, "!Content-Range", "Content-Length: 10").body(digits)
	none := get().want(416, "Content-Range: bytes */10", "Content-Length: 0").body("")
	rows := []row{
		of("a range", "bytes=2-5", part(2, 5)),
		of("one byte", "bytes=0-0", part(0, 0)),
		of("the whole as a range", "bytes=0-9", part(0, 9)),
		of("an open range", "bytes=7-", part(7, 9)),
		of("a suffix", "bytes=-3", part(7, 9)),
		of("a suffix longer than there is", "bytes=-30", part(0, 9)),
		of("a range that ends beyond", "bytes=5-99", part(5, 9)),
		of("a range that ends beyond what fits in 64 bits", "bytes=5-99999999999999999999", part(5, 9)),
		of("the unit has no case", "BYTES=2-5", part(2, 5)),
		of("an empty member is nothing", "bytes=,2-5,", part(2, 5)),
		of("of several, those that can be", "bytes=2-5, 20-30", part(2, 5)),
		of("a range that begins beyond", "bytes=10-", none),
		of("a suffix of nothing", "bytes=-0", none),
		of("several that all begin beyond", "bytes=10-11, 20-", none),
		of("another unit", "lines=2-5", whole),
		of("a range the wrong way round", "bytes=5-2", whole),
		of("no number", "bytes=a-b", whole),
		of("nothing at all", "bytes=", whole),
		of("no dash", "bytes=5", whole),
		of("a sign", "bytes=+2-5", whole),
		of("ranges that overlap are not worth their parts", "bytes=0-5, 3-8", whole),
		of("more ranges than are looked at", "bytes="+strings.Repeat("0-0,", 20)+"1-1", whole),
		of("If-None-Match comes first", "bytes=2-5", get(`If-None-Match: "v"`).want(304, "!Content-Range", "!Content-Length").body("")),
		of("two lines do not count", "bytes=2-5", func() step { s := whole; s.fields = []string{"Range: bytes=6-7"}; return s }()),
	}
	head := request(http.MethodHead).want(200, "Content-Length: 10", "!Content-Range").body("")
	return append(rows,
		of("HEAD has no ranges", "bytes=2-5", head),
		row{rfc: "9110 14.2", rule: "ranges are of a 200", brief: true, steps: []step{
			get().reply(404, "Cache-Control: max-age=3600").with(digits).want(404),
			get("Range: bytes=2-5").want(404).body(digits).hit(),
		}},
		row{rfc: "9110 14.2", rule: "a length that was not declared is known once it is stored", steps: []step{
			get().reply(200, "Cache-Control: max-age=3600").chunked().body("reply 1\n"),
			get("Range: bytes=8-").want(416, "Content-Range: bytes */8").hit(),
		}},
	)
}

func ifRanges() []row {
	modified := ago(1000 * time.Hour)
	of := func(rule, validator string, status int) row {
		body := map[int]string{200: digits, 206: digits[2:6]}[status]
		return row{rfc: "9110 13.1.5", rule: rule, steps: []step{
			get().reply(200, "Cache-Control: max-age=3600", `ETag: "v"`, "Last-Modified: "+modified).with(digits),
			get("Range: bytes=2-5", "If-Range: "+validator).want(status).body(body).hit(),
		}}
	}
	weak := of("a weak tag never matches", `W/"v"`, 200)
	weak.steps[0].replies[0].fields[1] = `ETag: W/"v"`
	return []row{
		of("If-Range with its tag", `"v"`, 206),
		of("If-Range with another tag", `"w"`, 200),
		of("If-Range with a weak form of its tag", `W/"v"`, 200),
		weak,
		of("If-Range with its date", modified, 206),
		of("If-Range with a later date", ago(time.Hour), 200),
		of("If-Range with something else", "v", 200),
	}
}

// partOf is the reply to a range: the digits from first to last.
func partOf(s step, first, last int, fields ...string) step {
	fields = append([]string{fmt.Sprintf("Content-Range: bytes %d-%d/10", first, last), "Cache-Control: max-age=3600"}, fields...)
	return s.reply(206, fields...).with(digits[first:last+1]).
		want(206, fmt.Sprintf("Content-Range: bytes %d-%d/10", first, last)).body(digits[first : last+1])
}

func bytesFrom(first, last int) step {
	return get(fmt.Sprintf("Range: bytes=%d-%d", first, last))
}

// pieces are responses of which a part is stored.
func pieces() []row {
	tag := `ETag: "v"`
	begin := partOf(bytesFrom(0, 4), 0, 4, tag).seen("Range: bytes=0-4", "!If-Range").tells("fwd=uri-miss", "fwd-status=206", "stored")
	stored := func(first, last int) step {
		return bytesFrom(first, last).want(206, fmt.Sprintf("Content-Range: bytes %d-%d/10", first, last), "Age: *", tag).body(digits[first : last+1]).hit()
	}
	return []row{
		{rfc: "9111 3.3", rule: "a part is stored and answers for itself", steps: []step{begin, stored(0, 4)}},
		{rfc: "9111 3.3", rule: "and for what is in it", steps: []step{begin, stored(1, 3)}},
		{rfc: "9111 3.3", rule: "and for a suffix that is in it", steps: []step{
			partOf(get("Range: bytes=-5"), 5, 9, tag), get("Range: bytes=-3").want(206, "Content-Range: bytes 7-9/10").body(digits[7:]).hit(), stored(5, 6),
		}},
		{rfc: "9111 3.3", rule: "and not for more", steps: []step{
			begin, partOf(bytesFrom(3, 7), 3, 7, tag).tells("fwd=partial", "fwd-status=206"),
		}},
		{rfc: "9111 3.3", rule: "and not for the whole", steps: []step{
			begin, get().reply(200, "Cache-Control: max-age=3600", `ETag: "w"`).with("abcdefghij").want(200, `ETag: "w"`).body("abcdefghij").tells("fwd=partial"),
			get().body("abcdefghij").hit(),
		}},
		{rfc: "9110 14.2", rule: "an origin may answer with the whole, which is stored, and cut for the client", steps: []step{
			bytesFrom(2, 5).reply(200, "Cache-Control: max-age=3600").with(digits).want(206, "Content-Range: bytes 2-5/10").body(digits[2:6]).tells("fwd-status=200", "stored"),
			get().body(digits).hit(),
		}},
		{rfc: "9110 15.5.17", rule: "an origin's 416 goes on and is not stored", steps: []step{
			get("Range: bytes=20-").reply(416, "Content-Range: bytes */10").each().want(416, "Content-Range: bytes */10").tells("!stored"),
			get().reply(200, "Cache-Control: max-age=3600").body("reply 2\n"),
		}},
		{rfc: "9110 15.3.7", rule: "a 206 that was not asked for is no answer", steps: []step{
			get().reply(206, "Content-Range: bytes 0-4/10", "Cache-Control: max-age=3600").with(digits[:5]).each().failing().want(502, "Proxy-Status: edge; error=http_protocol_error").tells("detail=error"),
		}},
		{rfc: "9111 3.3", rule: "a part with no-store is not stored", steps: []step{
			bytesFrom(0, 4).reply(206, "Content-Range: bytes 0-4/10", "Cache-Control: no-store").with(digits[:5]).each().want(206).tells("!stored"),
			bytesFrom(0, 4).reply(206, "Content-Range: bytes 0-4/10", "Cache-Control: no-store").with(digits[:5]).each().want(206),
		}},
		{rfc: "9111 4.3.1", rule: "If-Range goes to the origin with its Range", steps: []step{
			get("Range: bytes=2-5", `If-Range: "v"`).reply(200, "Cache-Control: max-age=3600", `ETag: "w"`).with(digits).
				seen("Range: bytes=2-5", `If-Range: "v"`).want(200).body(digits),
		}},
		{rfc: "9110 14.6", rule: "several parts from an origin go on and are not stored", steps: []step{
			get("Range: bytes=0-1, 8-9").reply(206, "Content-Type: multipart/byteranges; boundary=b", "Cache-Control: max-age=3600").
				with("--b--").each().want(206, "Content-Type: multipart/byteranges; boundary=b").body("--b--").tells("!stored"),
		}},
	}
}

// combinations join parts of one representation.
func combinations() []row {
	tag := `ETag: "v"`
	cc := "Cache-Control: max-age=3600"
	first := partOf(bytesFrom(0, 4), 0, 4, tag)
	apart := func(rule string, a, b step) row {
		return row{rfc: "9111 3.4", rule: rule, steps: []step{a, b,
			get().reply(200, cc, tag).with(digits).body(digits).tells("fwd=partial"),
		}}
	}
	return []row{
		{rfc: "9111 3.4", rule: "parts that meet make a whole", steps: []step{
			first, partOf(bytesFrom(5, 9), 5, 9, tag).tells("fwd=partial", "fwd-status=206", "stored"),
			get().want(200, "Content-Length: 10", "!Content-Range").body(digits).hit(),
			bytesFrom(3, 6).want(206).body(digits[3:7]).hit(),
		}},
		{rfc: "9111 3.4", rule: "parts that meet make a longer part", steps: []step{
			first, partOf(bytesFrom(5, 7), 5, 7, tag), bytesFrom(2, 7).want(206, "Content-Range: bytes 2-7/10").body(digits[2:8]).hit(),
		}},
		{rfc: "9111 3.4", rule: "for the whole, only what is missing is asked for", steps: []step{
			first, get().reply(206, "Content-Range: bytes 5-9/10", cc, tag).with(digits[5:]).seen("Range: bytes=5-", `If-Range: "v"`).
				want(200, "Content-Length: 10", "!Content-Range").body(digits).tells("fwd=partial", "fwd-status=206", "stored"),
			get().body(digits).hit(),
		}},
		{rfc: "9111 3.4", rule: "what changed meanwhile comes whole", steps: []step{
			first, get().reply(200, cc, `ETag: "w"`).with("abc").seen("Range: bytes=5-", `If-Range: "v"`).want(200, "Content-Length: 3").body("abc"),
			get().body("abc").hit(),
		}},
		apart("parts with another tag are not joined", first, partOf(bytesFrom(5, 9), 5, 9, `ETag: "w"`)),
		apart("parts with weak tags are not joined", partOf(bytesFrom(0, 4), 0, 4, `ETag: W/"v"`), partOf(bytesFrom(5, 9), 5, 9, `ETag: W/"v"`)),
		apart("parts without tags are not joined", partOf(bytesFrom(0, 4), 0, 4), partOf(bytesFrom(5, 9), 5, 9)),
		apart("parts with a gap are not joined", first, partOf(bytesFrom(6, 9), 6, 9, tag)),
	}
}

func TestSeveralRangesMakeParts(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, m, []row{{steps: []step{get().reply(200, "Cache-Control: max-age=3600", "Content-Type: text/plain").with(digits)}}})
			r.run()
			t.Run("stored", r.rows[0].verdict.tell)
			r.mu.Lock()
			r.entered, r.all = -1<<30, nil
			r.mu.Unlock()
			a := r.send(r.rows[0], get("Range: bytes=0-1, 8-9, 4-4"))
			kind, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
			if a.StatusCode != http.StatusPartialContent || err != nil || kind != "multipart/byteranges" || a.Header.Get("Content-Range") != "" {
				t.Fatalf("status %d, %v", a.StatusCode, a.Header)
			}
			if a.Header.Get("Content-Length") != fmt.Sprint(len(a.body)) {
				t.Errorf("Content-Length %s of %d bytes", a.Header.Get("Content-Length"), len(a.body))
			}
			parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
			for _, want := range [][2]string{{"bytes 0-1/10", "01"}, {"bytes 8-9/10", "89"}, {"bytes 4-4/10", "4"}} {
				p, err := parts.NextPart()
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(p)
				if err != nil || string(body) != want[1] || p.Header.Get("Content-Range") != want[0] || p.Header.Get("Content-Type") != "text/plain" {
					t.Errorf("part %v %q, %v; want %v", p.Header, body, err, want)
				}
			}
			if _, err := parts.NextPart(); err == nil {
				t.Error("more parts than ranges")
			}
		})
	}
}
