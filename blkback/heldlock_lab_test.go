//go:build linux

package blkback_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/blkback/disk"
	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// held is how the device is opened, by both.
func held() disk.Options { return disk.Options{Format: disk.Raw, Direct: true, Holder: 7<<32 | 51712} }

// writeMark is the process that is killed: it begins to write a mark, and sleeps.
func writeMark(t *testing.T, device string) {
	d, _, err := disk.Open(t.Context(), device, held())
	if err != nil {
		t.Fatal(err)
	}
	b, err := disk.NewBatch(d, 4)
	if err != nil {
		t.Fatal(err)
	}
	p, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	copy(p, "mark-old\n")
	b.Write(p, 65536, 0)
	if left, err := b.Start(); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	os.Stdout.WriteString("begun\n")
	time.Sleep(time.Hour)
}

// TestLabHeldLock kills a process whose write to a block device is held back inside the
// kernel, again and again: as long as it is, the device's lock is held.
func TestLabHeldLock(t *testing.T) {
	if device := os.Getenv("GOXL_TEST_WRITE_MARK"); device != "" {
		writeMark(t, device)
	}
	xentest.NeedXen(t)
	dom0.InCoverOn(t, "4.17")
	d := newSlowDisk(t, 4<<20, "mark-old\n")
	for round := range 10 {
		if round > 0 {
			d.holdAgain()
		}
		child := exec.Command(os.Args[0], "-test.run", "^TestLabHeldLock$")
		child.Env = append(os.Environ(), "GOXL_TEST_WRITE_MARK=/dev/nbd0")
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-d.came:
		case <-time.After(labWait):
			t.Fatal("no write comes")
		}
		if round%2 == 0 { // in the other rounds it may still be at beginning it
			if s, err := bufio.NewReader(out).ReadString('\n'); s != "begun\n" {
				t.Fatalf("the child says %q, %v", s, err)
			}
		}
		if err := child.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		open := func() error {
			dk, _, err := disk.Open(t.Context(), "/dev/nbd0", held())
			if err == nil {
				dk.Close()
			}
			return err
		}
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if err := open(); !errors.Is(err, disk.ErrLocked) {
				t.Fatalf("round %d: with a write held back, the device is opened: %v", round, err)
			}
		}
		d.free()
		_ = child.Wait()
		for end := time.Now().Add(labWait); ; time.Sleep(10 * time.Millisecond) {
			if err := open(); err == nil {
				break
			} else if !errors.Is(err, disk.ErrLocked) || time.Now().After(end) {
				t.Fatalf("round %d: after the write, the device is not opened: %v", round, err)
			}
		}
	}
}
