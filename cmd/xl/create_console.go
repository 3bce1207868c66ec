package main

import (
	"context"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
)

// autoConsole is the console that "create -c" attaches to as soon as it exists,
// while the guest is still being made.
type autoConsole struct {
	a     *app
	ctx   context.Context
	end   context.CancelFunc
	once  sync.Once
	begun bool          // only looked at after Create returned
	ready chan struct{} // attached, or over
	done  chan struct{}
	err   error
}

func (a *app) autoConsole(ctx context.Context) *autoConsole {
	ctx, end := context.WithCancel(ctx)
	return &autoConsole{a: a, ctx: ctx, end: end, ready: make(chan struct{}), done: make(chan struct{})}
}

// start attaches to the guest's console; it does not wait for that.
func (c *autoConsole) start(id abi.DomID) {
	c.once.Do(func() {
		c.begun = true
		go func() {
			defer close(c.done)
			var ready sync.Once
			attached := func() { ready.Do(func() { close(c.ready) }) }
			defer attached()
			at, err := c.a.host.domains.Console(c.ctx, id)
			if err == nil {
				err = c.a.attach(c.ctx, at, defaultEscape, attached)
			}
			c.err = err
		}()
	})
}

// awaitReady returns when the console is attached or has failed.
func (c *autoConsole) awaitReady() {
	if c.begun {
		<-c.ready
	}
}

// stop ends the console, if there is one, and waits for it. It takes a nil
// receiver.
func (c *autoConsole) stop() {
	if c != nil {
		c.end()
		c.wait()
	}
}

// wait returns when the console has ended, and how. It takes a nil receiver.
func (c *autoConsole) wait() error {
	if c == nil || !c.begun {
		return nil
	}
	<-c.done
	return c.err
}

// interruptible returns a context that ends with the first interrupt or with the
// terminal, so that what was begun is taken back. A second one kills us. Meanwhile a
// reader of our output that is gone is an error of the write, and nothing else.
func interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals, pipes := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	if !signal.Ignored(unix.SIGHUP) { // nohup has it so
		signal.Notify(signals, unix.SIGHUP)
	}
	signal.Notify(pipes, unix.SIGPIPE)
	var done sync.WaitGroup
	done.Go(func() {
		select {
		case <-signals:
			signal.Stop(signals) // the next one has its usual effect
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		signal.Stop(signals)
		signal.Stop(pipes)
		done.Wait()
	}
}
