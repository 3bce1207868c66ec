// Lifecycle prints the steps in the lives of all guests as they happen: which
// were created, which shut down and why, which are gone. It ends after -n steps,
// or with an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"goxl/domains"
)

func main() {
	n := flag.Int("n", 0, "end after `N` events (0: go on)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := follow(ctx, *n); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "lifecycle:", err)
		os.Exit(1)
	}
}

func follow(ctx context.Context, n int) error {
	m, err := domains.Open(ctx, domains.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	w, err := m.Watch(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	fmt.Fprintln(os.Stderr, "following the lives of all guests")
	for seen := 0; n == 0 || seen < n; seen++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ev, ok := <-w.Events():
			if !ok {
				return w.Err()
			}
			fmt.Printf("%s domain %d (%s) %s\n", time.Now().Format(time.TimeOnly), ev.ID, ev.UUID, what(ev))
		}
	}
	return nil
}

func what(ev domains.Event) string {
	switch ev.Kind {
	case domains.Created:
		return "is there"
	case domains.ShutDown:
		return fmt.Sprintf("has shut down, reason code %d", ev.Reason)
	default:
		return "is gone"
	}
}
