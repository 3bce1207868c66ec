package interop

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"goxl/lab/dom0"
	"goxl/migrate/stream"
	"goxl/xenctrl/xentest"
)

// silent in the environment has this test binary be a receiver of guests that takes
// permission and is never heard of again.
const silent = "GOXL_LAB_SILENT_RECEIVER"

func TestMain(m *testing.M) {
	if os.Getenv(silent) != "" {
		if err := receiveSilently(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "silent receiver:", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// receiveSilently speaks as a receiver does, makes no guest, and ends where it would
// have to say whether it runs.
func receiveSilently(in io.Reader, out io.Writer) error {
	if _, err := io.WriteString(out, stream.Banner); err != nil {
		return err
	}
	r := stream.NewReader(in, stream.Options{Outermost: stream.LayerXL})
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if _, err := io.WriteString(out, stream.Ready); err != nil {
		return err
	}
	_, err := io.ReadFull(in, make([]byte, len(stream.Go)))
	return err
}

// TestLabPeerDead has the other side die with permission to start the guest: it stays
// suspended here, whole, and goes on when the operator says that nobody else has it.
func TestLabPeerDead(t *testing.T) {
	dom0.InCoverOn(t, "4.20")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			defer dom0.Leftovers(t)()
			g := newMini(t, kind, 16, 1, "mini.tick=10 mini.dirty=100", "")
			t.Cleanup(func() { g.clear(t, genuine) })
			c := g.start(t, ours)
			r := ours.Run(t, dom0.Patience, "migrate", "-s", "", "--quick", g.name, "env "+silent+"=1 "+self)
			if r.Code != 1 || !strings.Contains(r.Stderr, "Domain state is now undefined") || !strings.Contains(r.Stderr, "--resolve") {
				t.Errorf("exit %d\n%s", r.Code, r.Stderr)
			}
			if list := ours.Must(t, "list", g.name+"--migratedaway"); !strings.Contains(list, "s-") {
				t.Errorf("it is not suspended:\n%s", list)
			}
			if r := ours.Run(t, dom0.Patience, "migrate", "-s", "", "--resolve", g.name, "false xl migrate-receive"); r.Code == 0 || !strings.Contains(r.Stderr, "--peer-dead") {
				t.Errorf("resolve while nobody answers: exit %d\n%s", r.Code, r.Stderr)
			}
			r = ours.Run(t, dom0.Patience, "migrate", "--peer-dead", g.name)
			if r.Code != 0 || !strings.Contains(r.Stderr, "on your word") {
				t.Errorf("exit %d\n%s", r.Code, r.Stderr)
			}
			c.expect(t, "goxl-guest resumed in place")
			c.expect(t, `pattern: ok, \d+ pages`)
			sameAnswers(t, g, ours, genuine)
			genuine.Must(t, "shutdown", "-w", g.name)
			g.waitGone(t, genuine)
		})
	}
}
