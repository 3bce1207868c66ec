package uring

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, n int) *Ring {
	t.Helper()
	r, err := Open(n)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// wait returns the results of n requests, by tag.
func wait(t *testing.T, r *Ring, n int) map[uint64]int32 {
	t.Helper()
	got := map[uint64]int32{}
	for len(got) < n {
		c, ok := r.Next()
		if !ok {
			fds := []unix.PollFd{{Fd: int32(r.Descriptor()), Events: unix.POLLIN}}
			if k, err := unix.Poll(fds, 10_000); err != nil && err != unix.EINTR || err == nil && k == 0 {
				t.Fatalf("%d of %d requests have ended: %v", len(got), n, err)
			}
			continue
		}
		if _, twice := got[c.Tag]; twice {
			t.Fatalf("request %d ended twice", c.Tag)
		}
		got[c.Tag] = c.Res
	}
	if c, more := r.Next(); more {
		t.Fatalf("request %d ended besides", c.Tag)
	}
	return got
}

// memory is n pages outside Go's heap.
func memory(t *testing.T, n int) []byte {
	t.Helper()
	p, err := unix.Mmap(-1, 0, n*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(p) })
	return p
}

// The sizes are those of struct io_uring_params, io_uring_sqe and io_uring_cqe.
func TestLayouts(t *testing.T) {
	for _, tt := range []struct {
		name      string
		got, want uintptr
	}{
		{"params", unsafe.Sizeof(params{}), 120},
		{"params.sq_off", unsafe.Offsetof(params{}.sqOff), 40},
		{"params.cq_off", unsafe.Offsetof(params{}.cqOff), 80},
		{"submission", unsafe.Sizeof(submission{}), 64},
		{"submission.off", unsafe.Offsetof(submission{}.off), 8},
		{"submission.len", unsafe.Offsetof(submission{}.len), 24},
		{"submission.user_data", unsafe.Offsetof(submission{}.userData), 32},
		{"completion", unsafe.Sizeof(completion{}), 16},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is at or of %d, want %d", tt.name, tt.got, tt.want)
		}
	}
}

// Many more requests than the ring has places write a file and read it again.
func TestWriteAndRead(t *testing.T) {
	r := open(t, 8)
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const n = 100
	p, q := memory(t, n), memory(t, n)
	for i := range p {
		p[i] = byte(i/4096 + i)
	}
	for _, add := range []func(i int) bool{
		func(i int) bool { return r.Write(int(f.Fd()), p[i*4096:][:4096], int64(i)*4096, uint64(i)) },
		func(i int) bool { return r.Read(int(f.Fd()), q[i*4096:][:4096], int64(i)*4096, uint64(i)) },
	} {
		for begun := 0; begun < n; {
			k := begun
			for k < n && add(k) {
				k++
			}
			if k == begun {
				t.Fatal("a ring with nothing under way has no room")
			}
			if left, err := r.Submit(); err != nil || len(left) > 0 {
				t.Fatal(left, err)
			}
			for tag, res := range wait(t, r, k-begun) {
				if res != 4096 {
					t.Errorf("request %d ended with %d", tag, res)
				}
			}
			begun = k
		}
	}
	if !bytes.Equal(p, q) {
		t.Error("what was read is not what was written")
	}
}

func TestErrorsOfRequests(t *testing.T) {
	r := open(t, 4)
	p := memory(t, 1)
	r.Read(-1, p, 0, 1)
	r.Nop(2)
	if left, err := r.Submit(); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	got := wait(t, r, 2)
	if got[1] != -int32(unix.EBADF) || got[2] != 0 {
		t.Errorf("results are %v", got)
	}
}

// A ring whose kernel takes nothing gives all back, and goes on when it does.
func TestSubmitFails(t *testing.T) {
	r := open(t, 4)
	fd := r.fd
	r.Nop(1)
	r.Nop(2)
	r.fd = -1
	left, err := r.Submit()
	slices.Sort(left)
	if err == nil || !slices.Equal(left, []uint64{1, 2}) {
		t.Errorf("Submit() = %v, %v", left, err)
	}
	r.fd = fd
	r.Nop(3)
	if left, err := r.Submit(); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	if got := wait(t, r, 1); len(got) != 1 || got[3] != 0 {
		t.Errorf("after it: %v", got)
	}
}
