package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/term"

	"goxl/domains"
	"goxl/domains/device"
	"goxl/netback/capture"
)

// vifCaptureVerb records what passes a network interface.
const vifCaptureVerb = "vif-capture"

// captureOptions are what the command line says.
type captureOptions struct {
	file  string // "-" is standard output
	snap  int    // bytes kept of a frame; 0: all
	count uint64 // frames; 0: no end
}

// vifCaptureCommand is "xl vif-capture [-w FILE] [-s BYTES] [-c FRAMES] <Domain> <DevId|mac>".
func vifCaptureCommand(a *app) *command {
	o := captureOptions{file: "-"}
	return a.new(vifCaptureVerb, body{
		table: optionTable{"w:s:c:", nil}, min: 2,
		opt: func(letter byte, arg string) (err error) {
			switch letter {
			case 'w':
				o.file = arg
			case 's':
				if o.snap, err = strconv.Atoi(arg); err != nil || o.snap < 1 || o.snap > capture.DefaultSnap {
					return saidf(err, "-s %s: want 1 to %d bytes", arg, capture.DefaultSnap)
				}
			case 'c':
				if o.count, err = strconv.ParseUint(arg, 10, 63); err != nil {
					return saidf(err, "-c %s: want a number of frames", arg)
				}
			}
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			id, err := a.domain(ctx, args[0])
			if err != nil {
				return err
			}
			nic, err := a.host.domains.NIC(ctx, id, args[1])
			switch {
			case domains.CodeOf(err) == string(domains.NoDevice):
				return saidf(err, "Unknown device %s.", args[1])
			case err != nil:
				return err
			}
			ctx, stop := interruptible(ctx)
			defer stop()
			return a.capture(ctx, nic, o)
		},
	})
}

// capture listens to the interface until ctx ends, all frames are there, or it goes.
func (a *app) capture(ctx context.Context, nic device.NICInfo, o captureOptions) (err error) {
	if nic.Backend != 0 {
		return saidf(nil, "vif %d is served by domain %d: capture there, interface %s", nic.ID, nic.Backend, nic.HostName())
	}
	live, err := capture.Open(nic.HostName(), o.snap)
	if err != nil {
		return err
	}
	defer live.Close()
	out, err := a.captureFile(o.file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w, err := capture.NewWriter(out, capture.Interface{Name: nic.HostName(), MAC: nic.NIC.MAC, Snap: o.snap})
	if err != nil {
		return err
	}
	n, err := record(ctx, live, w, o.count)
	fmt.Fprintf(a.env.stderr, "%d frames\n", n)
	return err
}

// record writes frames, and in the end how many were missed.
func record(ctx context.Context, live *capture.Live, w *capture.Writer, count uint64) (n uint64, err error) {
	for count == 0 || n < count {
		p, err := live.Next(ctx)
		if ctx.Err() != nil || errors.Is(err, syscall.ENETDOWN) {
			break
		}
		if err != nil {
			return n, err
		}
		if err := w.Packet(p); err != nil {
			return n, err
		}
		n++
	}
	passed, missed, err := live.Dropped()
	if err != nil {
		return n, err
	}
	return n, w.Stats(time.Now(), passed, missed)
}

// captureFile opens what is written to. A terminal would only be upset.
func (a *app) captureFile(name string) (io.WriteCloser, error) {
	if name != "-" {
		return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	if f, ok := a.env.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return nil, saidf(nil, "a capture is no text: use -w FILE, or | tcpdump -r -")
	}
	return openWriter{a.env.stdout}, nil
}

// openWriter is not closed by who writes to it.
type openWriter struct{ io.Writer }

func (openWriter) Close() error { return nil }
