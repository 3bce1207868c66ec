package domains

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"goxl/domains/host"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
)

// Bounds on what an external boot loader may hand us.
const (
	maxBootOutput = 64 << 10 // the whole result file
	maxBootItem   = 8191     // one item of it, as in libxl: 2 × PATH_MAX − 1
)

// bootloader runs an external boot loader (pygrub and its like) by libxl's
// protocol (libxl_bootloader.c): it gets the disk and a directory, talks to the
// user on a terminal that stands in xenstore as the guest's console, and leaves
// a file of NUL-terminated items: "kernel PATH", "ramdisk PATH", "args TEXT".
type bootloader struct {
	id      abi.DomID
	program string
	extra   []string // bootloader_args=
	kernel  string   // what the configuration says, passed on; "" for none
	ramdisk string
	cmdLine string
	disk    string // device or file of the first disk
	host    *host.Host
	libExec string
	logger  *logs.Logger
	// publish makes the terminal known as the guest's console.
	publish func(ctx context.Context, tty string) error
}

// bootFiles is what a guest boots: opened files, since those of a boot loader
// have no name any more, and the paths that xenstore shows.
type bootFiles struct {
	kernel, ramdisk         *os.File // ramdisk may be nil
	kernelPath, ramdiskPath string
	cmdLine                 string
	hasCmd                  bool
	consoleTTY              string // where the boot loader talked; "" without one
}

func (f *bootFiles) Close() {
	for _, file := range []*os.File{f.kernel, f.ramdisk} {
		if file != nil {
			file.Close()
		}
	}
}

// run blocks until the boot loader ends or ctx does, which kills it. Its files
// are removed in any case; the returned ones live on as descriptors only.
func (b *bootloader) run(ctx context.Context) (_ *bootFiles, err error) {
	dir := filepath.Join(b.host.Lib, fmt.Sprintf("bootloader.%d.d", b.id))
	out := filepath.Join(b.host.Lib, fmt.Sprintf("bootloader.%d.out", b.id))
	log, err := b.host.OpenLog(fmt.Sprintf("bootloader.%d", b.id))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	defer b.host.Remove(out)
	defer b.host.RemoveAll(dir)
	if err := b.host.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	if err := b.host.WriteFile(out, nil, 0o600); err != nil {
		return nil, err
	}
	tty, err := b.talk(ctx, exec.CommandContext(ctx, b.find(), b.args(out, dir)...), log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: see %s", b.program, err, log.Name())
	}
	files, err := b.result(out)
	if err != nil {
		return nil, err
	}
	files.consoleTTY = tty
	return files, nil
}

// find resolves a bare name in the toolstack's own directory, then in PATH.
func (b *bootloader) find() string {
	if !strings.HasPrefix(b.program, "/") {
		own := filepath.Join(b.libExec, b.program)
		if _, err := b.host.Lstat(own); err == nil {
			return own
		}
	}
	return b.program
}

func (b *bootloader) args(out, dir string) []string {
	var args []string
	for _, a := range [][2]string{{"--kernel=", b.kernel}, {"--ramdisk=", b.ramdisk}, {"--args=", b.cmdLine}} {
		if a[1] != "" {
			args = append(args, a[0]+a[1])
		}
	}
	args = append(args, "--output="+out, "--output-format=simple0", "--output-directory="+dir)
	args = append(args, b.extra...)
	return append(args, b.disk)
}

// talk runs cmd on a terminal of its own and joins that with a second one,
// which a console client can open, until cmd ends. It returns the name of the
// second.
func (b *bootloader) talk(ctx context.Context, cmd *exec.Cmd, log io.Writer) (string, error) {
	inner, innerTTY, err := rawPTY()
	if err != nil {
		return "", err
	}
	defer inner.Close()
	defer innerTTY.Close()
	outer, outerTTY, err := rawPTY()
	if err != nil {
		return "", err
	}
	defer outer.Close()
	defer outerTTY.Close() // held open: without a client, writes must not fail
	if err := b.publish(ctx, outerTTY.Name()); err != nil {
		return "", err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = innerTTY, innerTTY, innerTTY
	cmd.Env = append(os.Environ(), "TERM=vt100")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := b.host.StartProcess(cmd); err != nil {
		return "", err
	}
	copied := make(chan struct{}, 2)
	go func() { copyLossy(outer, io.TeeReader(inner, log)); copied <- struct{}{} }()
	go func() { io.Copy(inner, outer); copied <- struct{}{} }()
	err = cmd.Wait()
	// The last words may still be in the terminal: end its reader through the
	// hangup that closing the last slave causes, not by closing the master.
	innerTTY.Close()
	<-copied
	outer.SetReadDeadline(time.Now())
	<-copied
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return outerTTY.Name(), err
}

// copyLossy copies from r, and drops what w does not take at once: nobody may
// be listening on the console, and the boot loader must not stop for that.
func copyLossy(w *os.File, r io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			w.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

// result reads what the boot loader left. The files it names are opened and
// removed, as libxl does.
func (b *bootloader) result(path string) (_ *bootFiles, err error) {
	f, err := b.host.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBootOutput+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxBootOutput {
		return nil, fmt.Errorf("%s: more than %d bytes of output", b.program, maxBootOutput)
	}
	said := parseBootOutput(data)
	for _, s := range said.odd {
		b.logger.Warn("boot loader said something unexpected", logs.String("item", s))
	}
	files := &bootFiles{kernelPath: said.kernel, ramdiskPath: said.ramdisk, cmdLine: said.args, hasCmd: said.hasArgs}
	defer func() {
		if err != nil {
			files.Close()
		}
	}()
	if said.kernel == "" {
		return nil, fmt.Errorf("%s: named no kernel", b.program)
	}
	if files.kernel, err = b.openAndRemove(said.kernel); err != nil {
		return nil, err
	}
	if said.ramdisk != "" {
		if files.ramdisk, err = b.openAndRemove(said.ramdisk); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (b *bootloader) openAndRemove(path string) (*os.File, error) {
	f, err := b.host.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	b.host.Remove(path)
	return f, nil
}

// bootOutput is the content of a boot loader's result file.
type bootOutput struct {
	kernel, ramdisk, args string
	hasArgs               bool
	odd                   []string // items that we do not know, quoted and shortened
}

// parseBootOutput reads NUL-terminated items of "word value". Unknown and
// overlong ones are set aside, later ones win over earlier ones.
func parseBootOutput(data []byte) bootOutput {
	var o bootOutput
	for item := range bytes.SplitSeq(data, []byte{0}) {
		if len(item) == 0 {
			continue
		}
		word, value := cutSpace(string(item))
		switch {
		case len(item) > maxBootItem:
			o.odd = append(o.odd, strconv.Quote(string(item[:150]))+"...")
		case word == "kernel":
			o.kernel = value
		case word == "ramdisk":
			o.ramdisk = value
		case word == "args":
			o.args, o.hasArgs = value, true
		default:
			o.odd = append(o.odd, strconv.Quote(string(item[:min(len(item), 150)])))
		}
	}
	return o
}

// cutSpace splits at the first run of white space; without one there is no word.
func cutSpace(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t\n\v\f\r")
	if i < 0 {
		return "", s
	}
	return s[:i], strings.TrimLeft(s[i:], " \t\n\v\f\r")
}
