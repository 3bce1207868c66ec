package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"goxl/blkback"
	"goxl/domains/device"
	"goxl/domains/logs"
)

// defaultPolicy is where an administrator limits disks.
const defaultPolicy = "/etc/goxl/disks.conf"

// readPolicy reads the file at path; none is one without rules.
func readPolicy(path string) (blkback.Rules, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return blkback.Rules{}, nil
	}
	if err != nil {
		return blkback.Rules{}, fmt.Errorf("policy of disks: %w", err)
	}
	defer f.Close()
	r, err := blkback.ParseRules(f, device.ParseVDev)
	if err != nil {
		return blkback.Rules{}, fmt.Errorf("policy of disks: %s: %w", path, err)
	}
	return r, nil
}

// followPolicy reads the file again at each SIGHUP, until stop is called. What cannot
// be read leaves all as it is.
func followPolicy(ctx context.Context, o options, d *blkback.Driver) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hups:
			}
			r, err := readPolicy(o.policy)
			if err == nil {
				err = d.SetRules(ctx, r)
			}
			if err != nil && ctx.Err() == nil {
				o.Log.Error("the policy of disks was not read again", logs.Error(err))
				continue
			}
			o.Log.Info("policy of disks read again", logs.String("file", o.policy))
		}
	})
	return func() {
		signal.Stop(hups)
		cancel()
		wg.Wait()
	}
}
