package domains

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// newStore returns a client of a fresh in-process xenstored.
func newStore(t *testing.T) (*xenstore.Client, *server.Server) {
	t.Helper()
	srv := server.New(server.Options{})
	c, err := xenstore.Dial(t.Context(), xenstore.WithConn(srv.Pipe(0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); srv.Close() })
	return c, srv
}

// recorded reads a recording of the genuine tool: lines without the comments.
func recorded(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		if !strings.HasPrefix(s.Text(), "#") {
			lines = append(lines, s.Text())
		}
	}
	return lines
}

// dump lists nodes as xenstore-ls -fp does, sorted.
func dump(t *testing.T, c *xenstore.Client, root string) []string {
	t.Helper()
	var lines []string
	var walk func(path string)
	walk = func(path string) {
		names, err := c.List(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			p := path + "/" + n
			v, err := c.Read(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			perms, err := c.Perms(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			var ps []string
			for _, x := range perms {
				ps = append(ps, x.String())
			}
			lines = append(lines, fmt.Sprintf("%s = %q   (%s)", p, v, strings.Join(ps, ",")))
			walk(p)
		}
	}
	walk(root)
	slices.Sort(lines)
	return lines
}

// The nodes of a new domain: paths, values, permissions and the order in which
// watchers hear of them are those of the genuine tool.
func TestDomainNodes(t *testing.T) {
	for _, tt := range []struct {
		kind Type
		uuid string
		port abi.Port
	}{{PV, "11111111-2222-3333-4444-555555555551", 1}, {PVH, "11111111-2222-3333-4444-555555555552", 1}} {
		t.Run(tt.kind.String(), func(t *testing.T) {
			c, _ := newStore(t)
			for _, d := range []string{"/vm", "/libxl", "/local/domain/0"} {
				if err := c.Mkdir(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
			for d, p := range map[string][]wire.Perm{"/vm": private(), "/libxl": private(), "/local/domain": private()} {
				if err := c.SetPerms(t.Context(), d, p); err != nil {
					t.Fatal(err)
				}
			}
			w, err := c.Watch(t.Context(), "/")
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			<-w.Events()

			want := recorded(t, "create-"+tt.kind.String()+"-4.17.nodes")
			writeDomain(t, c, tt.kind, uuidOf(t, tt.uuid), want)
			var got []string
			for _, root := range []string{"/local/domain/7", "/vm/" + tt.uuid, "/libxl/7"} {
				got = append(got, dump(t, c, root)...)
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("nodes (-genuine +ours):\n%s", diff)
			}
			// The recording is of oxenstored, which tells of each request; others tell
			// of each node once per transaction. The order of first sights is the same.
			wantEvents := firsts(recorded(t, "create-"+tt.kind.String()+"-4.17.events"))
			if diff := gocmp.Diff(wantEvents, paths(t, w, len(wantEvents))); diff != "" {
				t.Errorf("events (-genuine +ours):\n%s", diff)
			}
		})
	}
}

// writeDomain writes what Create writes, with the numbers of the recording.
func writeDomain(t *testing.T, c *xenstore.Client, kind Type, u abi.UUID, recording []string) {
	t.Helper()
	ctx := t.Context()
	value := func(path string) string {
		for _, l := range recording {
			if v, ok := strings.CutPrefix(l, path+` = "`); ok {
				v, _, _ = strings.Cut(v, `"`)
				return v
			}
		}
		return ""
	}
	n := newDomain{id: 7, uuid: u, name: "manager-rec-" + kind.String(), kind: kind}
	if err := c.Update(ctx, func(tx *xenstore.Tx) error { return n.write(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
	note := func() {
		if err := c.Write(ctx, "/libxl/7/dm-version", "qemu_xen"); err != nil {
			t.Fatal(err)
		}
	}
	note()
	var sec, hundredths int64
	fmt.Sscanf(value("/vm/"+u.String()+"/start_time"), "%d.%d", &sec, &hundredths)
	b := builtDomain{id: 7, uuid: u, kind: kind, max: 131072, target: 131072,
		port: abi.Port(leadingNumber(value("/local/domain/7/store/port"))), ring: abi.GFN(leadingNumber(value("/local/domain/7/store/ring-ref"))),
		vcpus: 2, online: func(n int) bool { return n == 0 }, started: time.Unix(sec, hundredths*10_000_000),
		kernel: "/opt/guest/vmlinuz", ramdisk: "/opt/guest/initrd.img", cmdLine: "console=hvc0", hasCmd: true}
	if err := c.Update(ctx, func(tx *xenstore.Tx) error { return b.write(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
	note()
}

// firsts drops what was seen before.
func firsts(list []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(list, func(s string) bool {
		again := seen[s]
		seen[s] = true
		return again
	})
}

// paths returns the next n different paths of a watch.
func paths(t *testing.T, w *xenstore.Watch, n int) []string {
	t.Helper()
	var got []string
	for len(got) < n {
		select {
		case e := <-w.Events():
			got = firsts(append(got, e.Path))
		case <-time.After(5 * time.Second):
			t.Fatalf("only %d of %d events: %q", len(got), n, got)
		}
	}
	return got
}

func uuidOf(t *testing.T, s string) abi.UUID {
	t.Helper()
	var u abi.UUID
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if copy(u[:], b); err != nil {
		t.Fatal(err)
	}
	return u
}

// A domain that the toolstack of an HVM guest makes has a few more nodes.
func TestDomainNodesHVM(t *testing.T) {
	c, srv := newStore(t)
	n := newDomain{id: 3, uuid: abi.UUID{1}, name: "h", kind: HVM, driverDomain: true, suspendCompat: true}
	if err := c.Update(t.Context(), func(tx *xenstore.Tx) error { return n.write(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	have := srv.Paths()
	for _, p := range []string{"hvmloader", "control/feature-s3", "control/feature-s4", "libxl", "device-model"} {
		if !slices.Contains(have, "/local/domain/3/"+p) {
			t.Errorf("no node %s", p)
		}
	}
	if slices.Contains(have, "/local/domain/3/device/suspend") {
		t.Error("a suspend node in compatibility mode")
	}
}

// What an earlier domain of the same id left is gone afterwards.
func TestDomainNodesReplace(t *testing.T) {
	c, srv := newStore(t)
	ctx := context.Background()
	for _, p := range []string{"/local/domain/3/old/node", "/libxl/3/old", vmPath(abi.UUID{1}) + "/old"} {
		if err := c.Write(ctx, p, "x"); err != nil {
			t.Fatal(err)
		}
	}
	n := newDomain{id: 3, uuid: abi.UUID{1}, name: "p", kind: PVH}
	if err := c.Update(ctx, func(tx *xenstore.Tx) error { return n.write(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
	for _, p := range srv.Paths() {
		if strings.Contains(p, "old") {
			t.Errorf("%s is still there", p)
		}
	}
	if got := cmp.Or(srv.Dump()["/libxl/3/type"], "none"); got != "pvh" {
		t.Errorf("type %s", got)
	}
}
