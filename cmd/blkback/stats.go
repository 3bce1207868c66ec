package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"goxl/blkback"
)

// statsSocket is where the running daemon tells what it has counted, to root.
const statsSocket = "stats"

// serveStats answers each connection to the socket at path with one JSON text, until
// stop is called.
func serveStats(path string, d *blkback.Driver) (stop func() error, err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	l, err := net.Listen("unix", path) // in a folder of ours alone
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			e := json.NewEncoder(c)
			e.SetIndent("", "  ")
			_ = e.Encode(d.Stats()) // who does not read gets none
			_ = c.Close()
		}
	})
	return func() error {
		err := l.Close()
		wg.Wait()
		return err
	}, nil
}

// printStats copies what the running daemon tells.
func printStats(ctx context.Context, dir string, to io.Writer) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", filepath.Join(dir, statsSocket))
	if err != nil {
		return fmt.Errorf("statistics: is blkback running? %w", err)
	}
	defer c.Close()
	_, err = io.Copy(to, c)
	return err
}
