package offer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/host/hosttest"
	"goxl/xenctrl/xentest"
)

// diskHost is a host with files x, y and z for disks, and loop devices in memory.
func diskHost(t *testing.T) (*xentest.Machine, *domains.Manager, *hosttest.Kernel, string) {
	t.Helper()
	xen, m := newHost(t)
	k := hosttest.New(m.Host().Kernel)
	m.Host().Kernel = k
	dir := t.TempDir()
	for _, name := range []string{"x", "y", "z"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 8192), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(m.Host().Proc, "mounts"), []byte("proc /proc proc rw 0 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return xen, m, k, dir
}

func disk(vdev, path string, write int) config.Disk {
	return config.Disk{VDev: config.Some(vdev), Path: config.Some(path), ReadWrite: write}
}

// Whatever uses a disk on the other host is told, unless both only read.
func TestDiskUsers(t *testing.T) {
	xen, m, _, dir := diskHost(t)
	x, y, z := filepath.Join(dir, "x"), filepath.Join(dir, "y"), filepath.Join(dir, "z")
	loop, err := m.Host().AttachLoop(x, false)
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	num, err := m.Host().BlockNumber(loop.Path)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(y, link); err != nil {
		t.Fatal(err)
	}
	xen.AddDomain(7)
	set := func(path, value string) {
		t.Helper()
		if err := m.Store().Write(t.Context(), path, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		nodes map[string]string // of the backend of guest web2's disk
		disk  config.Disk
		local bool // the guest is on this very host
		want  string
	}{
		{"a loop device that nobody knows", nil, disk("xvda", x, 1), false, "in use there by loop device " + loop.Path},
		{"the same, through a link", nil, disk("xvda", filepath.Join(dir, "x"), 0), false, "in use there by loop device"},
		{"a guest's loop device", map[string]string{"vbd/7/51712/physical-device": num.String(), "vbd/7/51712/mode": "w", "vbd/7/51712/dev": "xvdb"},
			disk("xvda", x, 1), false, "in use there by guest web2 (xvdb)"},
		{"QEMU, through a link", map[string]string{"qdisk/7/51712/params": "qcow2:" + link, "qdisk/7/51712/mode": "w", "qdisk/7/51712/dev": "hda"},
			disk("xvda", y, 0), false, "in use there by guest web2 (hda)"},
		{"both only read", map[string]string{"qdisk/7/51712/params": "aio:" + y, "qdisk/7/51712/mode": "r"}, disk("xvda", y, 0), false, ""},
		{"one writes: ours", map[string]string{"qdisk/7/51712/params": "aio:" + y, "qdisk/7/51712/mode": "r", "qdisk/7/51712/dev": "xvdc"},
			disk("xvda", y, 1), false, "in use there by guest web2 (xvdc)"},
		{"another disk", map[string]string{"qdisk/7/51712/params": "aio:" + y, "qdisk/7/51712/mode": "w"}, disk("xvda", z, 1), false, ""},
		{"a backend that goes", map[string]string{"qdisk/7/51712/mode": "w"}, disk("xvda", z, 1), false, ""},
		{"the guest itself, on one host", map[string]string{"qdisk/7/51712/params": "aio:" + y, "qdisk/7/51712/mode": "w"}, disk("xvda", y, 1), true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = m.Store().Rm(t.Context(), "/local/domain/0/backend")
			set("/local/domain/7/name", "web2")
			for path, value := range tt.nodes {
				set("/local/domain/0/backend/"+path, value)
			}
			q, _ := asked(t, m, func(s *config.Spec, g *Guest) {
				s.Disks = []config.Disk{tt.disk}
				if tt.local {
					g.Boot = "here"
				}
			})
			if tt.local {
				boot := filepath.Join(m.Host().Proc, "sys/kernel/random")
				if err := os.MkdirAll(boot, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(boot, "boot_id"), []byte("here\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			a, err := Reply(t.Context(), m, Journal(t.TempDir()), q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range a.Findings {
				if f.About == "disk" {
					got = append(got, f.String())
				}
			}
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want) || !a.Findings[0].Blocks) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

// A disk that does not answer is told of after a while; the others are looked at.
func TestDiskHangs(t *testing.T) {
	_, m, k, dir := diskHost(t)
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		k.Before = func(call string) error {
			if strings.HasSuffix(call, "/y") {
				<-hang
			}
			return nil
		}
		s := config.NewSpec(config.TypePVH)
		for i, name := range []string{"x", "y", "z"} {
			s.Disks = append(s.Disks, disk(fmt.Sprintf("xvd%c", 'a'+i), filepath.Join(dir, name), 1))
		}
		begin := time.Now()
		seen := look(context.Background(), m, s, false)
		if took := time.Since(begin); took != lookLimit {
			t.Errorf("it took %s", took)
		}
		if seen["xvda"].Storage == nil || seen["xvdc"].Storage == nil || !strings.Contains(seen["xvdb"].Error, "does not answer") {
			t.Errorf("seen %+v", seen)
		}
		if s := lookAgain(m, filepath.Join(dir, "y")); s.Storage != nil || s.Error == "" {
			t.Errorf("again: %+v", s)
		}
	})
	k.Before = nil
}
