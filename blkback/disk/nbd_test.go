package disk

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"goxl/blkback/disk/disktest"
	"pgregory.net/rapid"
)

// serveNBD has qemu-nbd serve a raw file, and returns its URI and how to kill it.
func serveNBD(t testing.TB, file string, args ...string) (uri string, kill func()) {
	t.Helper()
	socket := filepath.Join(disktest.Dir(t), "nbd.sock")
	cmd := exec.Command("qemu-nbd", append(args, "-f", "raw", "-x", "disk", "-k", socket, "-t", "-e", "8", file)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(kill)
	for range 200 {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return "nbd+unix:///disk?socket=" + socket, kill
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("qemu-nbd does not answer")
	return "", nil
}

func TestNBDLikeMemory(t *testing.T) {
	disktest.Need(t)
	file := filepath.Join(disktest.Dir(t), "disk.raw")
	m := &machine{model: noise(4, 3<<20+512)}
	if err := os.WriteFile(file, m.model, 0o600); err != nil {
		t.Fatal(err)
	}
	uri, _ := serveNBD(t, file, "--discard=unmap")
	d, info := mustOpen(t, uri, Options{Format: NBD})
	if d.Size() != int64(len(m.model)) || info.Format != NBD || info.ReadOnly || info.DiscardGranularity == 0 {
		t.Errorf("size %d, info %+v", d.Size(), info)
	}
	m.disk = d
	rapid.Check(t, func(t *rapid.T) {
		t.Repeat(map[string]func(*rapid.T){"read": m.read, "write": m.write, "discard": m.discard, "flush": m.flush})
	})
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, m.model) {
		t.Errorf("the server's file differs from the model (%v)", err)
	}
}

func TestNBDConcurrent(t *testing.T) {
	disktest.Need(t)
	file := filepath.Join(disktest.Dir(t), "disk.raw")
	const workers, unit = 100, 20 << 10 // more than fit in flight
	if err := os.WriteFile(file, make([]byte, workers*unit), 0o600); err != nil {
		t.Fatal(err)
	}
	uri, kill := serveNBD(t, file)
	d, _ := mustOpen(t, uri, Options{Format: NBD})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for round := range 5 {
				want, got := noise(uint64(w*8+round), unit), make([]byte, unit)
				_, werr := d.WriteAt(want, int64(w*unit))
				_, rerr := d.ReadAt(got, int64(w*unit))
				if werr != nil || rerr != nil || !bytes.Equal(got, want) {
					t.Errorf("write %v, read %v, the same: %v", werr, rerr, bytes.Equal(got, want))
					return
				}
			}
		})
	}
	wg.Wait()
	// The server dies under requests: every one ends, and so do all later ones.
	for w := range workers {
		wg.Go(func() {
			var err error
			for err == nil {
				_, err = d.ReadAt(make([]byte, unit), int64(w*unit))
			}
		})
	}
	kill()
	wg.Wait()
	if err := d.Flush(); err == nil {
		t.Error("a flush succeeded without a server")
	}
}

func TestNBDOpen(t *testing.T) {
	disktest.Need(t)
	file := filepath.Join(disktest.Dir(t), "disk.raw")
	if err := os.WriteFile(file, noise(1, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	uri, _ := serveNBD(t, file, "-r")
	if _, _, err := Open(context.Background(), uri, Options{Format: NBD}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Open for writing of an export for reading = %v", err)
	}
	d, _ := mustOpen(t, uri, Options{Format: NBD, ReadOnly: true})
	if !bytes.Equal(readAll(t, d), noise(1, 1<<20)) {
		t.Error("read something else")
	}
	if _, err := d.WriteAt([]byte{1}, 0); !errors.Is(err, ErrReadOnly) {
		t.Errorf("WriteAt = %v", err)
	}
	_, _, err := Open(context.Background(), strings.Replace(uri, "/disk?", "/other?", 1), Options{Format: NBD, ReadOnly: true})
	if err == nil || !strings.Contains(err.Error(), `the export "other"`) {
		t.Errorf("Open of an unknown export = %v", err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.ReadAt(make([]byte, 512), 0); err == nil {
		t.Error("ReadAt after Close succeeded")
	}
}

// A server that accepts and says nothing must not keep the opening beyond its time.
func TestNBDSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err = Open(ctx, "nbd://"+l.Addr().String()+"/disk", Options{Format: NBD})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open = %v", err)
	}
}

func TestParseNBD(t *testing.T) {
	for uri, want := range map[string]string{
		"nbd://host":                      "tcp host:10809 ",
		"nbd://[::1]:99/a/b":              "tcp [::1]:99 a/b",
		"nbd+unix:///x?socket=/run/s":     "unix /run/s x",
		"nbd+unix://?socket=/run/s":       "unix /run/s ",
		"nbds://host/x":                   "",
		"nbd:///x":                        "",
		"nbd+unix:///x":                   "",
		"nbd+unix://host/x?socket=/run/s": "",
		"/dev/nbd0":                       "",
		"http://host/":                    "",
	} {
		network, address, export, err := parseNBD(uri)
		got := network + " " + address + " " + export
		if want == "" && err == nil || want != "" && (err != nil || got != want) {
			t.Errorf("parseNBD(%q) = %q, %v, want %q", uri, got, err, want)
		}
	}
}
