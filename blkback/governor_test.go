package blkback

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/blkback/disk/disktest"
	"goxl/xenstore/wire"
)

// governed is serving with a policy.
func governed(t *testing.T, d disk.Disk, p Policy) (*frontRing, *queue, *journal, *backtest.Machine, func() error) {
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), blkif.X86_64, 1)
	j := testJournal(t, f)
	q := testQueue(t, m, f, d, j, false)
	q.gov = newGovernor(nil)
	q.gov.set(p)
	return f, q, j, m, running(t, q)
}

func (d *memDisk) setFail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

func TestLimitHolds(t *testing.T) {
	d := &memDisk{b: make([]byte, 1<<20)}
	f, _, _, _, _ := governed(t, d, Policy{Limits: disk.Limits{Write: disk.Rate{IOPS: 50, Burst: 20 * time.Millisecond}}})
	p := guestPages(f.g, 1)
	begin := time.Now()
	for range 11 {
		if s := f.do(f.data(blkif.Write, 0, whole(p))); s != blkif.OK {
			t.Fatal(s)
		}
	}
	if took := time.Since(begin); took < 190*time.Millisecond {
		t.Errorf("11 writes at 50 a second took %s", took)
	}
	begin = time.Now()
	for range 50 {
		if s := f.do(f.data(blkif.Read, 0, whole(p))); s != blkif.OK {
			t.Fatal(s)
		}
	}
	if took := time.Since(begin); took > 900*time.Millisecond {
		t.Errorf("50 reads, which have no limit, took %s", took)
	}
}

// TestStopLeavesWhatWaits stops a queue whose requests wait for their limit: it does not
// wait for them, and the next one does each of them once.
func TestStopLeavesWhatWaits(t *testing.T) {
	for name, p := range map[string]Policy{
		"for the limit": {Limits: disk.Limits{Total: disk.Rate{IOPS: 1}}},
		"for room":      {Pause: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &memDisk{b: make([]byte, 1<<20)}
			f, q, j, m, stop := governed(t, d, p)
			if p.Pause {
				d.setFail(syscall.ENOSPC)
			}
			var ids []uint64
			for n := range 20 {
				page := guestPages(f.g, 1)
				page[0].Bytes[0] = byte(n + 1)
				r := f.data(blkif.Write, uint64(8*n), whole(page))
				if n == 10 {
					r.Op = blkif.Barrier
				}
				ids = append(ids, f.send(&r))
			}
			f.push()
			time.Sleep(100 * time.Millisecond)
			begin := time.Now()
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("the stop took %s", took)
			}
			if q.bufs.total != 0 || q.stats.inflight.Load() != 0 {
				t.Errorf("%d bytes of buffers are left, %d in flight", q.bufs.total, q.stats.inflight.Load())
			}
			if n := f.poll(); n > 3 {
				t.Errorf("%d requests were answered before", n)
			}
			d.setFail(nil)
			running(t, testQueue(t, m, f, d, j, true))
			for _, id := range ids {
				if rsp := f.await(id); rsp.Status != blkif.OK {
					t.Errorf("request %#x is answered %d", id, rsp.Status)
				}
			}
			for n := range 20 {
				if d.at(4096*n) != byte(n+1) {
					t.Errorf("write %d is lost", n)
				}
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	d := &memDisk{b: make([]byte, 1<<20)}
	f, q, _, _, _ := governed(t, d, Policy{})
	p := guestPages(f.g, 1)
	full := fmt.Errorf("write: %w", syscall.ENOSPC)
	d.setFail(full)
	if s := f.do(f.data(blkif.Write, 0, whole(p))); s != blkif.Error {
		t.Errorf("by default, a write that finds no room is answered %d", s)
	}
	q.gov.set(Policy{Pause: true})
	p[0].Bytes[0] = 77
	w := f.data(blkif.Write, 0, whole(p))
	id := f.send(&w)
	f.push()
	spin(t, func() bool { return q.stats.stalled.Load() >= 2 }) // tried again once at least
	if f.poll() > 0 {
		t.Fatal("a write without room is answered")
	}
	d.setFail(nil)
	if rsp := f.await(id); rsp.Status != blkif.OK || d.at(0) != 77 {
		t.Errorf("when there is room again: %+v, %d", rsp, d.at(0))
	}
	d.setFail(full)
	if s := f.do(blkif.Request{Op: blkif.Flush}); s != blkif.Error {
		t.Errorf("a flush that finds no room is answered %d: doing it again may hide the loss", s)
	}
	d.setFail(syscall.EIO)
	if s := f.do(f.data(blkif.Write, 0, whole(p))); s != blkif.Error {
		t.Errorf("another error is answered %d", s)
	}
	d.setFail(full)
	id = f.send(&w)
	f.push()
	n := q.stats.stalled.Load()
	spin(t, func() bool { return q.stats.stalled.Load() > n })
	q.gov.set(Policy{}) // who waits learns of a new policy
	if rsp := f.await(id); rsp.Status != blkif.Error {
		t.Errorf("after the policy has changed: %+v", rsp)
	}
}

// TestFullFileSystem has a real one that is full: a tmpfs of 2 MiB.
func TestFullFileSystem(t *testing.T) {
	for _, format := range []disk.Format{disk.Raw, disk.QCOW2} {
		t.Run(string(format), func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
				t.Skipf("no tmpfs can be mounted: %v", err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			image := filepath.Join(dir, "image")
			disktest.Img(t, "create", "-q", "-f", string(format), image, "8M")
			d, _, err := disk.Open(context.Background(), image, disk.Options{Format: format})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			ballast := filepath.Join(dir, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			f, q, _, _, stop := governed(t, d, Policy{Pause: true})
			var ids []uint64
			for n := range 28 { // 1232 KiB: more than there is room for
				p := guestPages(f.g, 11)
				for i := range p {
					p[i].Bytes[0] = byte(n + 1)
				}
				r := f.data(blkif.Write, uint64(n*11*8), whole(p))
				ids = append(ids, f.send(&r))
			}
			f.push()
			spin(t, func() bool { return q.stats.stalled.Load() > 0 })
			if err := os.Remove(ballast); err != nil { // room for all
				t.Fatal(err)
			}
			for _, id := range ids {
				if rsp := f.await(id); rsp.Status != blkif.OK {
					t.Fatalf("request %#x is answered %d", id, rsp.Status)
				}
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			b := make([]byte, 11*4096)
			for n := range 28 {
				if _, err := d.ReadAt(b, int64(n*len(b))); err != nil || b[0] != byte(n+1) || b[10*4096] != byte(n+1) {
					t.Errorf("write %d is not there: %v, %d", n, err, b[0])
				}
			}
		})
	}
}

// TestPolicyOfADisk changes a served disk's policy by the rules and by its node.
func TestPolicyOfADisk(t *testing.T) {
	d := startDaemon(t)
	ctx := context.Background()
	d.addDisk(nil)
	for key, value := range map[string]string{"name": "web", "vm": "/vm/0-1"} {
		if err := errors.Join(d.Store.Write(ctx, "/local/domain/7/"+key, value),
			d.Store.SetPerms(ctx, "/local/domain/7/"+key, []wire.Perm{{Dom: 0}, {Access: wire.Read, Dom: 7}})); err != nil {
			t.Fatal(err)
		}
	}
	d.Await(d.back("state"), "2")
	policy := func() string {
		d.drv.mu.Lock()
		v := d.drv.vbds[backends.ID{Dom: 7, Dev: vdev}]
		d.drv.mu.Unlock()
		if v == nil {
			return "no disk"
		}
		v.looking.Lock()
		defer v.looking.Unlock()
		return v.policy.String()
	}
	await := func(want string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); policy() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the policy is %q, want %q", policy(), want)
			}
		}
	}
	rules := func(text string) {
		t.Helper()
		r, err := ParseRules(strings.NewReader(text), number)
		if err == nil {
			err = d.drv.SetRules(ctx, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	node := d.back(PolicyKey)
	set := func(text string) {
		t.Helper()
		if err := d.Store.Write(ctx, node, text); err != nil {
			t.Fatal(err)
		}
	}
	await("")
	rules("web xvda iops=5\n0-1 * full=pause\ndb * iops=9")
	await("iops=5 full=pause")
	set("iops=7 read-bytes=1K")
	await("iops=7 read-bytes=1024 full=pause")
	set("iops=many")
	await("iops=5 full=pause")
	set("full=error iops=0")
	await("")
	if err := d.Store.SetPerms(ctx, node, []wire.Perm{{Dom: 0}, {Access: wire.Both, Dom: 7}}); err != nil {
		t.Fatal(err)
	}
	set("iops=7") // in a place where the guest could have written it
	await("iops=5 full=pause")
	if err := d.Store.Rm(ctx, node); err != nil {
		t.Fatal(err)
	}
	if err := d.Store.SetPerms(ctx, "/local/domain/7/name", []wire.Perm{{Dom: 7}}); err != nil {
		t.Fatal(err)
	}
	rules("web xvda iops=5\n* * bytes=1G") // a name that the guest may have given itself
	await("bytes=1073741824")
	d.stop()
	d.run()
	d.Await(d.back("state"), "2")
	await("")
}
