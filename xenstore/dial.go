package xenstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

// endpoint is an open connection and how it wants to be written to.
type endpoint struct {
	io.ReadWriteCloser
	device bool
}

// places returns where libxenstore looks: $XENSTORED_PATH alone, or the socket in
// $XENSTORED_RUNDIR (by default /run/xenstored) and then the kernel's device.
func places(getenv func(string) string, noDevice bool) []string {
	if p := getenv("XENSTORED_PATH"); p != "" {
		return []string{p}
	}
	devices := []string{"/dev/xen/xenbus", "/proc/xen/xenbus"}
	if noDevice {
		devices = nil
	}
	if dir := getenv("XENSTORED_RUNDIR"); dir != "" {
		return append([]string{dir + "/socket"}, devices...)
	}
	return append([]string{"/run/xenstored/socket", "/var/run/xenstored/socket"}, devices...)
}

// open makes one attempt to connect.
func (o *options) open(ctx context.Context) (endpoint, error) {
	switch {
	case o.conn != nil:
		return endpoint{o.conn, false}, nil
	case o.dial != nil:
		c, err := o.dial(ctx)
		return endpoint{c, false}, err
	}
	paths := o.paths
	if len(paths) == 0 {
		paths = places(os.Getenv, o.noDevice)
	}
	var errs []error
	for _, p := range paths {
		e, err := openPath(ctx, p)
		if err == nil {
			return e, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || len(paths) == 1 {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		errs = append(errs, fmt.Errorf("none of %v: %w (is xenstored running?)", paths, fs.ErrNotExist))
	}
	return endpoint{}, errors.Join(errs...)
}

func openPath(ctx context.Context, path string) (endpoint, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return endpoint{}, err
	}
	if fi.Mode().Type() == fs.ModeSocket {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		return endpoint{c, false}, err
	}
	// The runtime polls the device, so that Close ends a blocked read.
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	return endpoint{f, true}, err
}

// openRetrying opens, again and again when wait is set, until ctx ends.
func (o *options) openRetrying(ctx context.Context, wait bool) (endpoint, error) {
	for n := 0; ; n++ {
		e, err := o.open(ctx)
		if err == nil || !wait {
			return e, err
		}
		if sleep(ctx, backoff(n, 20*time.Millisecond, time.Second)) != nil {
			return endpoint{}, fmt.Errorf("%w; last attempt: %w", context.Cause(ctx), err)
		}
	}
}

// backoff returns a random time of at most first*2^n and at most top.
func backoff(n int, first, top time.Duration) time.Duration {
	d := top
	if n < 16 {
		d = min(first<<n, top)
	}
	return d/2 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
