package background

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// The process in the background has this in its environment. Its descriptor 3 is a
// pipe: it writes there why it cannot work, or nothing, and closes it.
const (
	mark     = "GOXL_BACKGROUND"
	reportFD = 3
)

// Is reports whether this is the process in the background, which has not reported yet.
func Is() bool { return os.Getenv(mark) != "" }

// Start starts this program once more with its own arguments, without terminal and in
// the folder /, and waits until it reports that it works, or why not. Its output and
// messages go to log; nil is nowhere.
func Start(log *os.File) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	defer r.Close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start in the background: %w", errors.Join(err, w.Close()))
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.Dir = "/"
	if log != nil {
		cmd.Stdout, cmd.Stderr = log, log
	}
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	err = errors.Join(cmd.Start(), w.Close())
	if err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	said, err := io.ReadAll(r)
	switch why, ok := strings.CutSuffix(string(said), "\n"); {
	case err != nil:
		return fmt.Errorf("start in the background: %w", err)
	case ok && why == "":
		return cmd.Process.Release()
	case ok:
		return errors.New(why)
	}
	_ = cmd.Wait() // the state says it
	return fmt.Errorf("start in the background: it ended: %v", cmd.ProcessState)
}

// Report tells whoever started us that we work, or why we cannot. Only the first report
// is told; in the foreground none is.
func Report(why error) {
	if !Is() || os.Unsetenv(mark) != nil {
		return
	}
	text := ""
	if why != nil {
		text = strings.ReplaceAll(why.Error(), "\n", "; ")
	}
	f := os.NewFile(reportFD, "report")
	defer f.Close()
	fmt.Fprintln(f, text) // who started us may be gone, which is no harm
}
