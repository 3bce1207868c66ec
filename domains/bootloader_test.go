package domains

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/domains/host"
)

func TestParseBootOutput(t *testing.T) {
	long := strings.Repeat("x", maxBootItem+1)
	for _, tt := range []struct {
		name, in string
		want     bootOutput
	}{
		{"what pygrub writes", "kernel /d/boot_kernel.1\x00ramdisk /d/boot_ramdisk.2\x00args root=/dev/xvda1 ro\x00\x00",
			bootOutput{kernel: "/d/boot_kernel.1", ramdisk: "/d/boot_ramdisk.2", args: "root=/dev/xvda1 ro", hasArgs: true}},
		{"no NUL at the end", "kernel /k", bootOutput{kernel: "/k"}},
		{"several blanks", "kernel \t /k\x00", bootOutput{kernel: "/k"}},
		{"empty arguments", "kernel /k\x00args \x00", bootOutput{kernel: "/k", hasArgs: true}},
		{"the last kernel wins", "kernel /a\x00kernel /b\x00", bootOutput{kernel: "/b"}},
		{"unknown word", "kernelx /k\x00", bootOutput{odd: []string{`"kernelx /k"`}}},
		{"no value", "kernel\x00", bootOutput{odd: []string{`"kernel"`}}},
		{"overlong item", "kernel " + long, bootOutput{odd: []string{`"kernel ` + strings.Repeat("x", 143) + `"...`}}},
		{"nothing", "", bootOutput{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parseBootOutput([]byte(tt.in)), cmp.AllowUnexported(bootOutput{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseBootOutput(f *testing.F) {
	f.Add([]byte("kernel /k\x00ramdisk /r\x00args a b\x00\x00"))
	f.Add([]byte("kernel\t\x00\x00args"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := parseBootOutput(data)
		if strings.ContainsRune(o.kernel+o.ramdisk+o.args, 0) {
			t.Error("a NUL got into a value")
		}
	})
}

// runBootloader runs a shell script as the boot loader.
func runBootloader(t *testing.T, ctx context.Context, script string) (*bootFiles, string, error) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "loader")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	b := &bootloader{id: 7, program: program, extra: []string{"--quiet"}, cmdLine: "ro", disk: "/dev/disk",
		host: host.New(host.Paths{Lib: dir, Log: dir}), libExec: dir,
		publish: func(_ context.Context, tty string) error {
			if !strings.HasPrefix(tty, "/dev/pts/") {
				t.Errorf("published %q as the console", tty)
			}
			return nil
		}}
	files, err := b.run(ctx)
	for _, rest := range []string{"bootloader.7.d", "bootloader.7.out"} {
		if _, err := os.Stat(filepath.Join(dir, rest)); err == nil {
			t.Errorf("%s was left behind", rest)
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "bootloader.7.log"))
	return files, string(log), err
}

func TestBootloader(t *testing.T) {
	files, log, err := runBootloader(t, t.Context(), `
echo "args: $*" | sed 's,=/[^ ]*/bootloader,=bootloader,g'
for a in "$@"; do case $a in --output=*) out=${a#*=};; --output-directory=*) dir=${a#*=};; esac; done
echo kernel bytes > $dir/k
printf 'kernel %s\0args quiet\0' $dir/k > $out
test -t 0 && test -t 1 && echo "on a terminal, TERM=$TERM"
`)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	data := make([]byte, 64)
	n, _ := files.kernel.ReadAt(data, 0)
	if got := string(data[:n]); got != "kernel bytes\n" {
		t.Errorf("the kernel is %q", got)
	}
	if files.cmdLine != "quiet" || files.ramdisk != nil {
		t.Errorf("command line %q, ramdisk %v", files.cmdLine, files.ramdisk)
	}
	for _, want := range []string{"--args=ro --output=bootloader.7.out --output-format=simple0", "--quiet /dev/disk", "on a terminal, TERM=vt100"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestBootloaderFails(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"exit status", "echo no boot sector; exit 3", "exit status 3: see "},
		{"no kernel", "exit 0", "named no kernel"},
		{"kernel that is not there", `for a; do case $a in --output=*) printf 'kernel /nowhere/k\0' > ${a#*=};; esac; done`, "/nowhere/k: no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files, _, err := runBootloader(t, t.Context(), tt.script)
			if err == nil {
				files.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want it to say %q", err, tt.want)
			}
		})
	}
}

func TestBootloaderCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, _, err := runBootloader(t, ctx, "exec sleep 60"); err == nil {
		t.Fatal("no error")
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("it took %s to end", d)
	}
}
