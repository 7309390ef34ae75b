package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"tributary/deploy/loadgen/accesslog"
	"tributary/deploy/loadgen/send"
)

type logCommand struct {
	File string `arg:"" help:"Access log, plain or gzip; - for stdin."`
	edgeFlags
	Site string `default:"http://example.com" help:"Site that the log's paths belong to."`
	Rate int    `help:"Events per second; without it as fast as the edge answers."`
}

// Help is shown by loadgen log --help.
func (logCommand) Help() string {
	return `Reads the common and combined formats (with the site before it, too), JSON as nginx, Caddy, Traefik, Envoy,
CloudFront, Cloudflare and the load balancers of Google and Azure write it, CloudFront's and IIS's W3C extended format,
and that of AWS's Application Load Balancers.
Each line that is a page visit is sent with its time, agent, referrer and address: as a click if its address carries
what a link carries (an affiliate, utm_ parameters, an advertisement's id), otherwise as a page view. What is no page
visit (HEAD, failures, redirects, style sheets, images, prefetches …) is left out and counted by reason. An id comes
from the line's time and text, and from how many equal lines stand before it: two equal lines of a file are two clicks.
Sending the file again sends the same clicks again, also when it has grown, or was cut in two.
Lines that cannot be read are listed with their numbers and do not stop the others. A line that names its site is of
that site, whatever --site says. A log without agents, as in the common format, does not distinguish machines from
people.`
}

// shownLines bounds the list of unreadable lines.
const shownLines = 100

func (c logCommand) Run(ctx context.Context, s streams) error {
	edge, err := c.keyed(send.NewClient(4, 8))
	if err != nil {
		return err
	}
	in := s.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("open log: %w (hint: - reads from stdin)", err)
		}
		defer f.Close()
		in = f
	}
	i := &logImport{
		edge: edge, site: c.Site, progress: s.err, size: send.MaxBatch, reported: time.Now(),
		leftOut: make(map[string]int),
	}
	if c.Rate > 0 {
		i.size = min(send.MaxBatch, max(1, c.Rate/10)) // ten batches a second are smooth enough
		i.limit = rate.NewLimiter(rate.Limit(c.Rate), i.size)
	}
	err = accesslog.Read(in, func(l accesslog.Line) error { return i.add(ctx, l) }, i.skip)
	if flushed := i.flush(ctx); err == nil { // what stands before damage is sent
		err = flushed
	}
	i.tally.Table(s.out, "clicks and page views")
	for _, reason := range slices.Sorted(maps.Keys(i.leftOut)) {
		fmt.Fprintf(s.out, "%d lines left out: %s\n", i.leftOut[reason], reason)
	}
	if i.noAgent > 0 {
		fmt.Fprintf(s.out, "%d visits without an agent: machines among them are not flagged\n", i.noAgent)
	}
	fmt.Fprintf(s.out, "%d lines could not be read\n", i.skipped)
	for _, text := range i.unread {
		fmt.Fprintln(s.out, text)
	}
	if i.skipped > len(i.unread) {
		fmt.Fprintf(s.out, "  and %d more\n", i.skipped-len(i.unread))
	}
	sent, _, refused := i.tally.Numbers()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", c.File, err)
	case sent == 0 && len(i.leftOut) == 0 && i.skipped > 0:
		return errors.New("read log: no line is of a known format (hint: loadgen log --help names the formats)")
	case refused > 0:
		return errFailed
	}
	return nil
}

// logImport gathers lines into batches and sends them.
type logImport struct {
	edge     *send.Edge
	site     string
	limit    *rate.Limiter // nil for none
	size     int           // of a batch
	progress io.Writer
	reported time.Time

	batch   [][]byte
	tally   send.Tally
	leftOut map[string]int // lines that are no page visits, by reason
	noAgent int            // page visits of which the log's format does not say the agent
	skipped int
	unread  []string
}

func (i *logImport) add(ctx context.Context, l accesslog.Line) error {
	if reason := l.NoVisit(); reason != "" {
		i.leftOut[reason]++
		return nil
	}
	if l.NoAgents {
		i.noAgent++
	}
	if i.batch = append(i.batch, l.Event(i.site)); len(i.batch) < i.size {
		return nil
	}
	return i.flush(ctx)
}

func (i *logImport) flush(ctx context.Context) error {
	if i.limit != nil && len(i.batch) > 0 {
		if err := i.limit.WaitN(ctx, len(i.batch)); err != nil {
			return fmt.Errorf("send log: %w", err)
		}
	}
	err := i.edge.Clicks(ctx, i.batch, &i.tally)
	i.batch = i.batch[:0]
	if now := time.Now(); now.Sub(i.reported) > time.Second {
		sent, accepted, _ := i.tally.Numbers()
		fmt.Fprintf(i.progress, "log: %d sent, %d accepted\n", sent, accepted)
		i.reported = now
	}
	if err != nil {
		return fmt.Errorf("send log: %w (sending the file again goes on safely)", err)
	}
	return nil
}

func (i *logImport) skip(number int, why error) error {
	i.skipped++
	if len(i.unread) < shownLines {
		i.unread = append(i.unread, fmt.Sprintf("  line %d: %v", number, why))
	}
	return nil
}
