package stream

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goxl/xenctrl/xentest"
)

// genuine returns the genuine xl, and the command that runs a Python program with
// Xen's modules.
func genuine(t *testing.T) (xl string, python func(args ...string) *exec.Cmd) {
	t.Helper()
	xentest.NeedXen(t)
	xl = cmp.Or(os.Getenv("GENUINE_XL"), "/usr/lib/xen-4.17/bin/xl")
	lib := filepath.Join(filepath.Dir(filepath.Dir(xl)), "lib", "python")
	return xl, func(args ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), "python3", args...)
		c.Env = append(os.Environ(), "PYTHONPATH="+lib, "PYTHONDONTWRITEBYTECODE=1")
		return c
	}
}

// savedByXL has the genuine xl make a mini guest and save it.
func savedByXL(t *testing.T, xl, kind string) (file, name string) {
	t.Helper()
	dir := t.TempDir()
	file, name = filepath.Join(dir, "saved"), "stream-lab-"+kind
	cfg := filepath.Join(dir, "cfg")
	text := fmt.Sprintf("name=%q\ntype=%q\nkernel=%q\nmemory=64\nvcpus=2\nvif=[\"bridge=xenbr0\"]\n", name, kind, os.Getenv("GOXL_MINI"))
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = exec.Command(xl, "destroy", name).Run() // of a run that was cut off
	t.Cleanup(func() { _ = exec.Command(xl, "destroy", name).Run() })
	script := fmt.Sprintf(`%[1]s create -e -q %[2]s && id=$(%[1]s domid %[3]s) &&
		timeout 120 grep -qm1 'goxl-guest ready' $(xenstore-read /local/domain/$id/console/tty) &&
		%[1]s save %[3]s %[4]s`, xl, cfg, name, file)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, tail(string(out)))
	}
	return file, name
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

// TestLabGenuineStreams reads what the genuine xl saved of a guest of each kind,
// strictly, and writes it again: not a byte is another. Our xl says what it is.
func TestLabGenuineStreams(t *testing.T) {
	xl, python := genuine(t)
	for _, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			file, name := savedByXL(t, xl, kind)
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			other, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			same := &comparing{want: other}
			taken := allocated(func() { err = recode(same, f, Options{Strict: true}) })
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := io.Copy(io.Discard, other); n > 0 {
				t.Errorf("%d bytes were not written", n)
			}
			if taken > 12<<20 {
				t.Errorf("%d bytes were allocated for a stream of %d", taken, same.off)
			}
			t.Logf("%d bytes are the same, %d were allocated for it", same.off, taken)

			out, err := exec.Command(filepath.Join(cmp.Or(os.Getenv("GOXL_BIN"), "/opt/goxl/bin"), "xl"), "stream", "verify", file).CombinedOutput()
			want := fmt.Sprintf("%s: a sound stream: %s guest %q, ", file, strings.ToUpper(kind), name)
			if err != nil || !strings.HasPrefix(string(out), want) {
				t.Errorf("%v: %s", err, out)
			}
			t.Logf("%s", out)
			verifier := filepath.Join(filepath.Dir(xl), "verify-stream-v2")
			if out, err := python(verifier, "-f", "xl", "-i", file).CombinedOutput(); err != nil {
				t.Errorf("the genuine verifier: %v %s", err, out)
			}
			plain := compressedByOurs(t, xl, name, file)
			if out, err := python(verifier, "-f", "xl", "-i", plain).CombinedOutput(); err != nil {
				t.Errorf("the genuine verifier, of what ours had compressed: %v %s", err, out)
			}
		})
	}
}

// compressedByOurs has ours restore the guest, save it compressed, and go on with it.
// The genuine xl refuses to restore that and says why. What is returned is unpacked.
func compressedByOurs(t *testing.T, xl, name, file string) (plain string) {
	t.Helper()
	ours := filepath.Join(cmp.Or(os.Getenv("GOXL_BIN"), "/opt/goxl/bin"), "xl")
	small := file + ".small"
	plain = file + ".plain"
	must := func(script string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "sh", "-ec", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, tail(string(out)))
		}
		return string(out)
	}
	whole := fmt.Sprintf("timeout 120 grep -am1 'pattern: ok' $(xenstore-read /local/domain/$(%s domid %s)/console/tty)", xl, name)
	must(fmt.Sprintf("%s restore %s; %s; %[1]s save --compress %[4]s %[5]s", ours, file, whole, name, small))
	out, err := exec.Command(xl, "restore", small).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "mandatory flag(s) 0x80000000") {
		t.Errorf("the genuine xl restores it: %v\n%s", err, out)
	}
	t.Logf("%s", must(fmt.Sprintf("%s stream verify %s; %[1]s stream unpack %[2]s %[3]s; %[1]s stream verify %[3]s; ls -s %[2]s %[3]s", ours, small, plain)))
	must(fmt.Sprintf("%s restore %s; %s; %[1]s destroy %[4]s", ours, small, whole, name))
	return plain
}

// comparing takes what has to be equal to want.
type comparing struct {
	want io.Reader
	off  int64
	buf  [64 << 10]byte
}

func (c *comparing) Write(b []byte) (n int, err error) {
	for n < len(b) {
		want := c.buf[:min(len(b)-n, len(c.buf))]
		if _, err := io.ReadFull(c.want, want); err != nil {
			return n, err
		}
		if !bytes.Equal(want, b[n:n+len(want)]) {
			return n, fmt.Errorf("the %d bytes from %#x are others", len(want), c.off)
		}
		n += len(want)
		c.off += int64(len(want))
	}
	return n, nil
}

// judge is a Python program that has the genuine verifier judge a stream of libxl
// or libxc as it is, and then with each of the bits turned over that come in; a
// line "0" means sound.
const judge = `
import sys
from io import BytesIO
from xen.migration.libxc import VerifyLibxc
from xen.migration.libxl import VerifyLibxl
data = bytearray(open(sys.argv[2], "rb").read())
verifier = VerifyLibxl if sys.argv[1] == "libxl" else VerifyLibxc
def verdict():
    try:
        verifier(lambda _: None, BytesIO(bytes(data)).read).verify()
        return "0"
    except Exception as e:
        return "%s: %s" % (type(e).__name__, str(e).replace("\n", " "))
print(verdict())
for line in sys.stdin:
    bit = int(line)
    data[bit // 8] ^= 1 << bit % 8
    print(verdict())
    data[bit // 8] ^= 1 << bit % 8
`

// genuineSamples are those of the samples that the genuine verifier knows: it
// takes no optional and no TOOLSTACK record, no libxl record in the middle of
// libxc's, and with Python 3 no node in EMULATOR_XENSTORE_DATA.
func genuineSamples() []sample {
	var all []sample
	for _, s := range samples() {
		bodies := s.bodies
		switch s.name {
		case "PV", "PVH", "HVM":
			all = append(all, sample{s.name, Options{Outermost: LayerLibxl}, func() []Body {
				return slices.DeleteFunc(bodies()[1:], func(b Body) bool { return b.Type() == TypeEmulatorStore })
			}})
		case "PV 32-bit version 2":
			all = append(all, sample{s.name, s.opts, func() []Body {
				return slices.DeleteFunc(bodies(), func(b Body) bool { return b.Type() == TypeToolstack })
			}})
		case "HVM version 2":
			all = append(all, s)
		}
	}
	return append(all, sample{"Remus of libxc", Options{Outermost: LayerLibxc, Checkpoints: Remus}, func() []Body {
		return join([]Body{&LibxcHeader{3, GuestHVM, 4, 17}, Mark(TypeStaticDataEnd)}, hvmMemory(),
			[]Body{Mark(TypeCheckpoint)}, hvmMemory()[:2], []Body{Mark(TypeCheckpoint), Mark(TypeEnd)})
	}})
}

// TestLabGenuineVerifier has the genuine verifier judge what our Writer made, and
// what becomes of it when a bit is turned over: whatever it refuses, so do we.
func TestLabGenuineVerifier(t *testing.T) {
	_, python := genuine(t)
	for _, s := range genuineSamples() {
		t.Run(s.name, func(t *testing.T) {
			all := s.encode(t)
			file := filepath.Join(t.TempDir(), "stream")
			if err := os.WriteFile(file, all, 0o600); err != nil {
				t.Fatal(err)
			}
			var bits []int
			var in strings.Builder
			for bit := range 8 * len(all) {
				if !inRun(bit/8, all) && bit%3 == 0 {
					bits = append(bits, bit)
					fmt.Fprintln(&in, bit)
				}
			}
			c := python("-c", judge, map[Layer]string{LayerLibxl: "libxl", LayerLibxc: "libxc"}[s.opts.Outermost], file)
			c.Stdin = strings.NewReader(in.String())
			var errs strings.Builder
			c.Stderr = &errs
			out, err := c.Output()
			verdicts := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			if err != nil || len(verdicts) != len(bits)+1 {
				t.Fatalf("%v, %d verdicts for %d bits: %s", err, len(verdicts), len(bits), errs.String())
			}
			if verdicts[0] != "0" {
				t.Fatalf("the genuine verifier refuses our stream: %s", verdicts[0])
			}
			o := s.opts
			o.Strict = true
			refused := 0
			for i, bit := range bits {
				if verdicts[i+1] == "0" || strings.Contains(verdicts[i+1], "Unrecognised record type 0x8") {
					continue // the second is an optional record, which may be passed over
				}
				refused++
				all[bit/8] ^= 1 << (bit % 8)
				if _, err := Verify(bytes.NewReader(all), o); err == nil {
					t.Errorf("bit %d: taken by ours, but the genuine verifier says %s", bit, verdicts[i+1])
				}
				all[bit/8] ^= 1 << (bit % 8)
			}
			t.Logf("%d bytes, %d of %d damaged ones refused by both", len(all), refused, len(bits))
		})
	}
}
