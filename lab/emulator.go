package lab

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// qemu is the emulator of a host.
const qemu = "qemu-system-x86_64"

// emulator is a program with what it needs to find its own files.
type emulator struct {
	path string
	args []string
	env  []string
}

// spurious is the code in Debian's QEMU 7.2 with which VMRUN notes the interrupt that
// Xen injects as a pending exception, before it delivers it by itself
// (target/i386/tcg/sysemu/svm_helper.c, helper_vmrun, SVM_EVTINJ_TYPE_INTR). Nothing
// takes that note away: when QEMU's main loop wants the processor before the guest
// leaves for another reason, the guest gets the interrupt a second time, whether it
// has interrupts enabled or not. Linux then panics on its way into the kernel, waits
// for a lock of its own, or halts for ever.
var spurious = struct{ before, note, after []byte }{
	before: []byte{0x44, 0x89, 0xab, 0x80, 0x33, 0x00, 0x00},                         // mov %r13d,0x3380(%rbx): env->error_code
	note:   []byte{0x89, 0xb3, 0x54, 0xef, 0xff, 0xff},                               // mov %esi,-0x10ac(%rbx): cs->exception_index
	after:  []byte{0xc7, 0x83, 0x84, 0x33, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x48}, // movl $0,0x3384(%rbx): env->exception_is_int
}

// nothing is an instruction of six bytes that does nothing.
var nothing = []byte{0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00}

// withoutSpurious returns the program without the note; ok is false when it is not
// the build that has it.
func withoutSpurious(program []byte) (mended []byte, ok bool) {
	pattern := bytes.Join([][]byte{spurious.before, spurious.note, spurious.after}, nil)
	if bytes.Count(program, pattern) != 1 {
		return nil, false
	}
	at := bytes.Index(program, pattern) + len(spurious.before)
	mended = bytes.Clone(program)
	copy(mended[at:], nothing)
	return mended, true
}

// findEmulator returns QEMU: Debian's with one instruction less where it is the
// build that delivers interrupts twice, and as it is everywhere else. The mended copy
// stays in the cache.
func (c *Cache) findEmulator() (emulator, error) {
	path, err := exec.LookPath(qemu)
	if err != nil {
		return emulator{}, err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return emulator{}, fmt.Errorf("read the emulator: %w", err)
	}
	mended, ok := withoutSpurious(program)
	if !ok {
		return emulator{path: path}, nil
	}
	copied := filepath.Join(c.dir, fmt.Sprintf("%s-%.12x", qemu, sha256.Sum256(mended)))
	if err := place(copied, mended); err != nil {
		return emulator{}, err
	}
	return emulator{ // away from its folder it does not find its files
		path: copied,
		args: []string{"-L", "/usr/share/qemu", "-L", "/usr/share/seabios"},
		env:  append(os.Environ(), "QEMU_MODULE_DIR=/usr/lib/x86_64-linux-gnu/qemu"),
	}, nil
}

// place writes a program unless it is there. Others may do the same.
func place(path string, program []byte) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(program)
	if err := errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return os.Rename(f.Name(), path)
}
