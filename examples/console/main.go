// Console prints what a guest says on its console, from what the console daemon
// still holds on. It ends when the guest does, after -t, or with an interrupt.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"goxl/domains"
)

func main() {
	limit := flag.Duration("t", 0, "end after this `TIME` (0: go on)")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: console [-t TIME] DOMAIN")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *limit)
		defer cancel()
	}
	if err := show(ctx, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "console:", err)
		os.Exit(1)
	}
}

func show(ctx context.Context, name string) error {
	m, err := domains.Open(ctx, domains.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	id, err := m.Find(ctx, name)
	if err != nil {
		return err
	}
	c, err := m.Console(ctx, id)
	if err != nil {
		return err
	}
	if c.TTY == "" {
		return fmt.Errorf("domain %d has no console (yet): is xenconsoled running?", id)
	}
	tty, err := os.OpenFile(c.TTY, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer tty.Close()
	end := context.AfterFunc(ctx, func() { tty.SetReadDeadline(time.Now()) })
	defer end()
	if _, err := io.Copy(os.Stdout, tty); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "(the guest has closed its console)")
	}
	return nil
}
