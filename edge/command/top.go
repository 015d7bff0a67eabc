package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"pkgedge/edge/admin"
	"pkgedge/edge/report"
)

// topCommand is "edge top".
type topCommand struct {
	Once bool `help:"Look once, as where the output is no terminal."`
	intervalFlag
	jsonFlag
	adminFlags
}

// Help is the text of "edge help top".
func (c *topCommand) Help() string {
	return `Shows the packages and files that clients ask for most, the ones for which masters had to be asked most, and the ones with the most bytes, in about the last hour. On a ` +
		`terminal it looks each second until it is interrupted; elsewhere, and with --json or --once, once. An edge with a token wants it for this, but on its own machine.`
}

// run shows the most asked names, once or live.
func (c *topCommand) run(ctx context.Context, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	every, err := c.every()
	if err != nil {
		return exitFor(err, stderr)
	}
	client, err := c.client(env)
	if err != nil {
		return exitFor(err, stderr)
	}
	defer client.Close()
	if v := newView(stdout, stderr, env); v.size != nil && !c.Once && !c.JSON {
		return exitFor(liveTop(ctx, client, every, v), stderr)
	}
	top, err := client.Top(ctx)
	switch {
	case err != nil:
	case c.JSON:
		err = printJSON(stdout, top)
	default:
		_, err = io.WriteString(stdout, topText(top, nil, 0, 0))
	}
	return exitFor(err, stderr)
}

// liveTop shows the most asked names again and again. It returns the error of the last look.
func liveTop(ctx context.Context, client *admin.Client, every time.Duration, v *view) (lost error) {
	var before *admin.Top
	var at time.Time // of before
	err := repeat(ctx, every, func(limited context.Context) error {
		top, err := client.Top(limited)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			lost = err
			return v.fail(err, time.Now())
		}
		rows, _ := v.size()
		now := time.Now()
		text := topText(top, before, now.Sub(at), rows)
		lost, before, at = nil, top, now
		return v.show(text, now)
	})
	v.end()
	return cmp.Or(err, lost)
}

const (
	topNameWidth = 60
	fewestNames  = 3 // of a list, however small the terminal
)

// topText writes the lists for a person, with the rates since the look before where there was
// one, so long ago, and no more lines than rows, where that is above 0.
func topText(top, before *admin.Top, since time.Duration, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s up %s, %s\n", top.At.Local().Format("15:04:05"), report.Age(top.At.Sub(top.Started)), latelyText(top.Lately))
	lists := []struct {
		title, unit string
		now, before []admin.Ranked
		figure      func(int64) string
		perSecond   func(float64) string
	}{
		{"asked for most", "REQUESTS", top.Asked, nil, decimal, tenths},
		{"missed most", "MISSES", top.Missed, nil, decimal, tenths},
		{"most bytes sent", "BYTES", top.Sent, nil, report.HumanBytes, wholeBytes},
	}
	if before != nil {
		lists[0].before, lists[1].before, lists[2].before = before.Asked, before.Missed, before.Sent
	}
	most := len(top.Asked) + len(top.Missed) + len(top.Sent)
	if rows > 0 { // a blank line and a title are above each list, and the figures above all
		most = max(fewestNames, (rows-2)/len(lists)-2)
	}
	for _, l := range lists {
		fmt.Fprintf(&b, "\n%-*s  %10s", topNameWidth, l.title+", in the last hour, about", l.unit)
		if before != nil {
			fmt.Fprintf(&b, "  %12s", "A SECOND")
		}
		b.WriteString("\n")
		if len(l.now) == 0 {
			b.WriteString("  none yet\n")
		}
		for _, r := range l.now[:min(most, len(l.now))] {
			fmt.Fprintf(&b, "  %-*s  %10s", topNameWidth-2, report.Shorten(nameIn(r, top), topNameWidth-2), l.figure(r.Count))
			if before != nil {
				fmt.Fprintf(&b, "  %12s", rate(r, l.before, since, l.perSecond))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// latelyText writes the figures of the last minute.
func latelyText(l *admin.Lately) string {
	if l == nil || l.Seconds <= 0 {
		return "no figures yet: they are taken every ten seconds"
	}
	text := fmt.Sprintf("%.1f requests a second", float64(l.Requests)/l.Seconds)
	if l.Reads > 0 {
		text += fmt.Sprintf(", %.1f %% from the store", 100*float64(l.Stored)/float64(l.Reads))
	}
	return text + fmt.Sprintf("\n%s a second sent, %s from masters, p50 %s, p99 %s",
		wholeBytes(float64(l.Sent)/l.Seconds), wholeBytes(float64(l.Fetched)/l.Seconds), milliseconds(l.P50), milliseconds(l.P99))
}

func milliseconds(seconds float64) string {
	if seconds < .01 {
		return fmt.Sprintf("%.1f ms", seconds*1000)
	}
	return fmt.Sprintf("%.0f ms", seconds*1000)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

func tenths(n float64) string { return strconv.FormatFloat(n, 'f', 1, 64) }

func wholeBytes(n float64) string { return report.HumanBytes(int64(n)) }

// nameIn is a name in the list, with its site where there are several.
func nameIn(r admin.Ranked, top *admin.Top) string {
	for _, list := range [][]admin.Ranked{top.Asked, top.Missed, top.Sent} {
		for _, other := range list {
			if other.Site != r.Site {
				return r.Name + " (" + r.Site + ")"
			}
		}
	}
	return r.Name
}

// rate is by how much a name's count has grown a second, since it was looked at before. A count falls when
// the oldest ten minutes of the hour are forgotten.
func rate(r admin.Ranked, before []admin.Ranked, since time.Duration, perSecond func(float64) string) string {
	for _, b := range before {
		if b.Site == r.Site && b.Name == r.Name && since > 0 {
			return perSecond(max(0, float64(r.Count-b.Count)/since.Seconds()))
		}
	}
	return "-"
}
