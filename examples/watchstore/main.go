// Watchstore prints what happens in a subtree of xenstore, as it happens:
//
//	watchstore /local/domain/0/backend
//
// It ends after -n changes, or with an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"goxl/xenstore"
)

func main() {
	n := flag.Int("n", 0, "end after `N` changes (0: go on)")
	flag.Parse()
	path := "/local/domain"
	if flag.NArg() > 0 {
		path = flag.Arg(0)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := watch(ctx, path, *n); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "watchstore:", err)
		os.Exit(1)
	}
}

// watch prints n changes below path, each with the node's value at the time it is read.
func watch(ctx context.Context, path string, n int) error {
	store, err := xenstore.Dial(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	w, err := store.Watch(ctx, path)
	if err != nil {
		return err
	}
	defer w.Close()
	for seen := 0; n == 0 || seen < n; seen++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ev, ok := <-w.Events():
			if !ok {
				return w.Err()
			}
			if err := show(ctx, store, ev.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

func show(ctx context.Context, store *xenstore.Client, path string) error {
	value, err := store.Read(ctx, path)
	switch {
	case errors.Is(err, xenstore.ErrNotFound):
		fmt.Println(path, "is gone")
	case err != nil:
		return err
	default:
		fmt.Printf("%s = %q\n", path, value)
	}
	return nil
}
