package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// host is the Xen host that commands act on.
type host struct {
	release release
}

// openHost opens Xen's control interface.
func openHost(context.Context, globals) (*host, error) {
	f, err := os.OpenFile("/dev/xen/privcmd", os.O_RDWR, 0)
	if err != nil {
		return nil, &noXen{err}
	}
	f.Close()
	return &host{release: sysfsRelease()}, nil
}

func (h *host) close() {}

// stats is the line that --stats prints.
func (h *host) stats() string { return "" }

// readConf reads xl.conf; messages about it go to w.
func (h *host) readConf(w io.Writer) error { return nil }

// noXen is why there is no host to act on.
type noXen struct{ err error }

func (e *noXen) Error() string {
	return fmt.Sprintf("open Xen's control interface: %v (run this as root in dom0; "+
		"on a machine without Xen there is nothing to control)", e.err)
}
func (e *noXen) Unwrap() error { return e.err }
func (e *noXen) Code() string  { return "no-xen" }

// sysfsRelease is the release that the kernel says is running, or the newest
// one we know when it says nothing.
func sysfsRelease() release {
	b, err := os.ReadFile("/sys/hypervisor/version/minor")
	n, perr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || perr != nil {
		return newestRelease
	}
	return clampRelease(n)
}

// clampRelease takes a minor number of Xen for the nearest one we know.
func clampRelease(minor int) release {
	return min(max(release(minor), oldestRelease), newestRelease)
}
