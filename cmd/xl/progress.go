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

// end leaves what was shown standing.
func (p *progressLine) end() {
	if p.w != nil && !p.last.IsZero() {
		fmt.Fprintln(p.w)
		p.last = time.Time{}
	}
}

// saving shows how far a guest is on its way into a file.
func (p *progressLine) saving(s migrate.Progress) {
	if s.Total > 0 {
		p.paint(false, "%s", savingText(s, time.Since(p.start)))
	}
}

// savingText is what is shown of a save that began so long ago.
func savingText(s migrate.Progress, took time.Duration) string {
	rate := float64(s.Bytes) / (1 << 20) / max(took.Seconds(), 0.001)
	text := fmt.Sprintf("%3d %% of %d MiB, %.0f MiB/s", s.Done*100/s.Total, s.Total>>8, rate)
	if s.Done == 0 || s.Done == s.Total {
		return text
	}
	left := time.Duration(float64(took) / float64(s.Done) * float64(s.Total-s.Done))
	return text + ", " + about(left) + " left"
}

// restoringText is what is shown of a restore that began so long ago, of a file of
// size bytes of which n were read; 0 is one whose size nobody knows.
func restoringText(n, size int64, took time.Duration) string {
	rate := float64(n) / (1 << 20) / max(took.Seconds(), 0.001)
	if size <= 0 || n <= 0 {
		return fmt.Sprintf("%d MiB read, %.0f MiB/s", n>>20, rate)
	}
	left := time.Duration(float64(took) / float64(n) * float64(max(size-n, 0)))
	return fmt.Sprintf("%3d %% of %d MiB read, %.0f MiB/s, %s left", min(n*100/size, 100), size>>20, rate, about(left))
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

// countedFile is a file of which is known how much of it was read.
type countedFile struct {
	*os.File
	n int64
}

func openCounted(name string) (*countedFile, error) {
	f, err := os.Open(name)
	return &countedFile{File: f}, err
}

func (f *countedFile) Read(b []byte) (int, error) {
	n, err := f.File.Read(b)
	f.n += int64(n)
	return n, err
}

// size is how long the file is; 0 when nobody knows.
func (f *countedFile) size() int64 {
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
		return fi.Size()
	}
	return 0
}

// restoring shows how much of a file was read.
func (p *progressLine) restoring(f *countedFile) func(int64) {
	size := f.size()
	return func(int64) {
		p.paint(false, "%s", restoringText(f.n, size, time.Since(p.start)))
	}
}

// receiveProgress shows how much of a guest has come in.
func (a *app) receiveProgress() func(int64) {
	line := a.progressTo()
	return func(n int64) {
		line.paint(false, "%d MiB read, %.0f MiB/s ", n>>20, line.rate(n))
	}
}
