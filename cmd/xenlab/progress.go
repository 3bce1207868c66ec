package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progress shows a person what goes on: bars on a terminal, lines elsewhere.
type progress struct {
	out   io.Writer
	bars  *mpb.Progress // nil when out is no terminal
	mu    sync.Mutex
	start time.Time
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, start: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(30), mpb.WithRefreshRate(200*time.Millisecond))
	}
	return p
}

// Close waits until the bars stand as they should. It may be called twice.
func (p *progress) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars != nil {
		p.bars.Wait()
		p.bars = nil
	}
}

// Step is of lab.Progress. The bar of a step fills with the time it usually
// takes; nobody knows how much of a boot is done.
func (p *progress) Step(what string, expect time.Duration) func(error) {
	begin := time.Now()
	p.mu.Lock()
	bars := p.bars
	p.mu.Unlock()
	if bars == nil {
		p.line("...", what)
		return func(err error) {
			p.line(outcome(err), fmt.Sprintf("%s (%s)", what, seconds(time.Since(begin))))
		}
	}
	return p.bar(bars, what, expect)
}

func (p *progress) bar(bars *mpb.Progress, what string, expect time.Duration) func(error) {
	const total = 1000
	b := bars.New(total, barStyle(expect),
		mpb.PrependDecorators(decor.Name(what, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_MMSS)),
	)
	begin := time.Now()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if expect > 0 { // never quite full before it is done
					b.SetCurrent(min(int64(total*time.Since(begin)/expect), total-20))
				}
			}
		}
	}()
	return func(err error) {
		close(stop)
		<-stopped
		if err != nil {
			b.Abort(false)
			return
		}
		b.SetCurrent(total)
	}
}

func barStyle(expect time.Duration) mpb.BarFillerBuilder {
	if expect == 0 {
		return mpb.SpinnerStyle()
	}
	return mpb.BarStyle()
}

func (p *progress) line(mark, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "[%6s] %-4s %s\n", seconds(time.Since(p.start)), mark, text)
}

func outcome(err error) string {
	if err != nil {
		return "FAIL"
	}
	return "ok"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
