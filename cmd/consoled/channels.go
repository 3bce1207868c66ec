package main

import (
	"context"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"goxl/backends"
	"goxl/backends/console"
	"goxl/cmd/internal/daemon"
	"goxl/domains/host"
	"goxl/domains/logs"
	"goxl/xenstore"
)

// serveChannels begins to serve the channels that the toolstack leaves to this daemon,
// and tells the toolstack that it may. Where another consoled does so already, this one
// has the consoles only. End waits until all channels have ended.
func serveChannels(ctx context.Context, store *xenstore.Client, log *logs.Logger) (end func(), err error) {
	lock, err := daemon.Lock(host.DefaultPaths().Consoled, "consoled")
	if err != nil {
		log.Warn("channels are not served", logs.Error(err))
		return func() {}, nil
	}
	self, err := backends.Self(ctx, store)
	if err == nil {
		err = announce(lock)
	}
	if err != nil {
		lock.Close()
		return nil, err
	}
	m := backends.New(backends.Options{Store: store, Xen: backends.Host(), Kind: console.ChannelKind, Self: self,
		Driver: console.NewChannels(store, log), Log: log})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.Run(ctx); err != nil {
			log.Error("channels are served no longer", logs.Error(err))
		}
	})
	return func() {
		lock.Close() // first: no further channels for us
		cancel()
		running.Wait()
	}, nil
}

// announce writes to the locked file how channels may be connected; the toolstack looks
// there before it starts a QEMU for them. Sockets are made in /run, which systemd may
// keep from this daemon.
func announce(lock *os.File) error {
	ways := "channels pty"
	if unix.Access("/run", unix.W_OK) == nil {
		ways += " socket"
	}
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err := lock.WriteAt([]byte(ways+"\n"), 0)
	return err
}
