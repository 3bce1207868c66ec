package xenstore_test

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"goxl/xenctrl/xentest"
	"goxl/xenstore"
)

// labDial returns a client of the host's own store.
func labDial(t *testing.T, opts ...xenstore.Option) *xenstore.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := xenstore.Dial(ctx, opts...)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// TestLabConformance checks the daemon and the client against each other, over
// the daemon's socket and over the kernel's device.
func TestLabConformance(t *testing.T) {
	xentest.NeedXen(t)
	must(t, flag.Set("rapid.checks", "15"))
	for _, tt := range []struct{ name, path string }{
		{"socket", ""}, {"device", "/dev/xen/xenbus"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var opts []xenstore.Option
			if tt.path != "" {
				opts = append(opts, xenstore.WithPath(tt.path))
			}
			conform(t, labDial(t, opts...), labDial(t, opts...), "/goxl-xenstore-"+tt.name)
		})
	}
}

// TestLabDomain0 reads what every host has.
func TestLabDomain0(t *testing.T) {
	xentest.NeedXen(t)
	c := labDial(t)
	ctx := testContext(t)
	if v, err := c.Read(ctx, "/local/domain/0/name"); v != "Domain-0" || err != nil {
		t.Errorf("name %q, %v", v, err)
	}
	if ok, err := c.IsIntroduced(ctx, 0); !ok || err != nil {
		t.Errorf("IsIntroduced(0) = %v, %v", ok, err)
	}
	if ok, err := c.IsIntroduced(ctx, 32000); ok || err != nil {
		t.Errorf("IsIntroduced(32000) = %v, %v", ok, err)
	}
	if p, err := c.DomainPath(ctx, 7); p != "/local/domain/7" || err != nil {
		t.Errorf("DomainPath = %q, %v", p, err)
	}
	// The C daemon lists its commands; oxenstored does so by that name as well.
	if help, err := c.Control(ctx, "help"); err != nil || !strings.Contains(help, "help") && help == "" {
		t.Errorf("Control(help) = %q, %v", help, err)
	}
	w, err := c.Watch(ctx, "@releaseDomain")
	must(t, err)
	next(t, w)
	w.Close()
	t.Logf("daemon %s", os.Getenv("GOXL_XENSTORED"))
}
