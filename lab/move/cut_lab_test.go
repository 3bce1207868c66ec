package move

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"goxl/migrate/stream"
)

// cutAt names, for a program that stands between both sides, the message at which it
// ends their connection.
const cutAt = "GOXL_CUT_AT"

// cut is a message and whether it arrives before the connection ends.
type cut struct {
	text     string
	sender   bool // says it
	delivers bool
}

var cuts = map[string]cut{
	"ready-lost":      {stream.Ready, false, false},
	"permission-lost": {stream.Go, true, false},
	"permission-last": {stream.Go, true, true},
	"report-lost":     {stream.Report, false, false},
}

func TestMain(m *testing.M) {
	if name := os.Getenv(cutAt); name != "" {
		os.Exit(between(cuts[name], os.Args[1:]))
	}
	os.Exit(m.Run())
}

// between runs a command as ssh would be run, and kills it at a message.
func between(c cut, args []string) int {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	to, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	from, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return 1
	}
	end := func() { cmd.Process.Kill() }
	go func() {
		upTo(to, os.Stdin, c, true, end)
		to.Close()
	}()
	upTo(os.Stdout, from, c, false, end)
	var exit *exec.ExitError
	if errors.As(cmd.Wait(), &exit) {
		return max(exit.ExitCode(), 1)
	}
	return 0
}

// upTo copies what a side says, until it says the message.
func upTo(w io.Writer, r io.Reader, c cut, sender bool, end func()) {
	b, seen := make([]byte, 64<<10), []byte(nil)
	for {
		n, err := r.Read(b)
		seen = append(seen, b[:n]...)
		if i := bytes.Index(seen, []byte(c.text)); c.sender == sender && i >= 0 {
			if c.delivers {
				w.Write(b[:n])
			} else {
				w.Write(b[:max(0, i+1-(len(seen)-n))]) // one byte of it at most
			}
			end()
			return
		}
		if _, werr := w.Write(b[:n]); err != nil || werr != nil {
			return
		}
		seen = append(seen[:0], seen[max(0, len(seen)-len(c.text)):]...)
	}
}

// TestLabCut ends the connection at each message of the hand-over. Until the
// permission is on its way the guest runs on here; then it is undecided, until the
// other side is asked.
func TestLabCut(t *testing.T) {
	here, there := hosts(t)
	for _, tt := range []struct {
		at        string
		undecided bool
		runs      string // where, in the end
		onlyIn    bool
	}{
		{"ready-lost", false, "here", true},
		{"permission-lost", true, "here", false},
		{"permission-last", true, "there", true},
		{"report-lost", true, "there", false},
	} {
		if tt.onlyIn && !full() {
			continue
		}
		t.Run(tt.at, func(t *testing.T) {
			const name = "victim"
			t.Cleanup(func() { clear(t, name, here, there) })
			create(t, here, name, "pvh")
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			receiver := there.ssh + " " + there.tool(false) + " migrate-receive"
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			said, err := exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf("%s migrate -s '' %s 'env %s=%s %s %s'",
				here.tool(false), name, cutAt, tt.at, self, receiver)).CombinedOutput()
			t.Logf("the sender ended with %v, and said:\n%s", err, said)
			if err == nil {
				t.Error("it says that it has moved")
			}
			if _, away := here.domains(t, name)["--migratedaway"]; away != tt.undecided {
				t.Errorf("undecided is %t", away)
			}
			fault{window: true}.judge(t, name, " '"+receiver+"'", here, there)
			if n := len(here.domains(t, name)); n != map[string]int{"here": 1, "there": 0}[tt.runs] {
				t.Errorf("%d are here, and it should run %s", n, tt.runs)
			}
		})
	}
}
