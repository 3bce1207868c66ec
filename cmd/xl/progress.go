package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"goxl/migrate"
)

// progressEvery is how often the line is painted anew.
const progressEvery = 200 * time.Millisecond

// progressLine is one line of a terminal that tells how far something is. The
// zero value paints nothing.
type progressLine struct {
	w     io.Writer
	start time.Time
	last  time.Time
}

// progressTo returns a line on stderr, if that is a terminal.
func (a *app) progressTo() *progressLine {
	p := &progressLine{start: time.Now()}
	if f, ok := a.env.stderr.(*os.File); ok && isTerminal(f) {
		p.w = f
	}
	return p
}

// paint shows a text in place of the one before; end leaves it standing.
func (p *progressLine) paint(end bool, format string, args ...any) {
	if p.w == nil || !end && time.Since(p.last) < progressEvery {
		return
	}
	p.last = time.Now()
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
	if end {
		fmt.Fprintln(p.w)
	}
}

// rate is how many MiB a second n bytes are since the beginning.
func (p *progressLine) rate(n int64) float64 {
	return float64(n) / (1 << 20) / max(time.Since(p.start).Seconds(), 0.001)
}

// transferProgress shows how far a guest is on its way out.
func (a *app) transferProgress() func(migrate.Progress) {
	line := a.progressTo()
	return func(p migrate.Progress) {
		if p.Total == 0 {
			return
		}
		left := time.Duration(float64(time.Since(line.start)) / float64(max(p.Done, 1)) * float64(p.Total-p.Done))
		text := fmt.Sprintf("round %d: %3d %% of %d MiB, %.0f MiB/s", p.Round+1, p.Done*100/p.Total, p.Total>>8, line.rate(p.Bytes))
		if p.Round == 0 && p.Done < p.Total {
			text += fmt.Sprintf(", %s left", left.Round(time.Second))
		}
		line.paint(p.Done == p.Total, "%s", text)
	}
}

// receiveProgress shows how much of a guest has come in.
func (a *app) receiveProgress() func(int64) {
	line := a.progressTo()
	return func(n int64) {
		line.paint(false, "%d MiB read, %.0f MiB/s ", n>>20, line.rate(n))
	}
}
