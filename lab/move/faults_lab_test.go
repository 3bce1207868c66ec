package move

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// fault is what goes wrong, and when: as soon as the sender says something.
type fault struct {
	name, at string
	quick    bool
	does     func(t *testing.T, here side) // nil: the receiver kills itself
	window   bool                          // it may leave the guest suspended here, until it is resolved
	onlyIn   bool                          // not in the cover
}

// receiver is what receives there: an xl that is killed as soon as it says what is in
// /run/receiver.at. To kill it from here would take longer than it needs to end.
const receiver = `
at=$(cat /run/receiver.at)
rm -f /run/receiver.err
mkfifo /run/receiver.err
me=$$
while read -r line; do
	echo "$line" >&2
	case $line in *"$at"*) kill -9 $me ;; esac
done < /run/receiver.err &
exec /opt/goxl/bin/xl "$@" 2> /run/receiver.err
`

// cutNetwork takes the segment away for longer than ssh waits.
func cutNetwork(t *testing.T, here side) {
	here.must(t, "ip link set eth1 down")
	time.AfterFunc(25*time.Second, func() { exec.Command("ip", "link", "set", "eth1", "up").Run() })
}

func faults() (list []fault) {
	for _, f := range []fault{
		{name: "receiver killed while memory comes", at: "Loading new save file"},
		{name: "receiver killed while memory comes, quick", at: "Loading new save file", quick: true, onlyIn: true},
		{name: "receiver killed when it has all", at: "requesting permission", window: true, onlyIn: true},
		{name: "receiver killed when it has permission", at: "Got permission", quick: true, window: true},
		{name: "network cut while memory comes", at: "Loading new save file", quick: true, does: cutNetwork},
		{name: "network cut when the receiver has all", at: "requesting permission", does: cutNetwork, window: true},
	} {
		if !f.onlyIn || full() {
			list = append(list, f)
		}
	}
	return list
}

// TestLabFaults kills and cuts in the middle of migrations. Outside of the window
// between permission and report exactly one guest runs afterwards, by itself; within
// it none or one does, and after "xl migrate --resolve" exactly one.
func TestLabFaults(t *testing.T) {
	here, there := hosts(t)
	there.must(t, "cat > /run/receiver <<'END'"+receiver+"END\n")
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			const name = "victim"
			t.Cleanup(func() { clear(t, name, here, there) })
			create(t, here, name, "pvh")
			at, does := "(nothing)", f.does
			if does == nil {
				at, does = f.at, func(*testing.T, side) {}
			}
			there.must(t, "echo '"+at+"' > /run/receiver.at")
			option := ""
			if f.quick {
				option = "--quick "
			}
			way := " '" + there.ssh + " sh /run/receiver migrate-receive'"
			cmd := exec.Command("sh", "-c", here.tool(false)+" migrate -s '' "+option+name+way)
			said := watch(t, cmd, f.at, func() { does(t, here) })
			t.Logf("the sender ended with %v, and said:\n%s", cmd.ProcessState, said)
			if !strings.Contains(said, f.at) {
				t.Fatalf("it never said %q", f.at)
			}
			await(t, "the network", func() bool { _, err := there.try(t, "true"); return err == nil })
			f.judge(t, name, way, here, there)
		})
	}
}

// judge holds what is left to the rule.
func (f fault) judge(t *testing.T, name, way string, here, there side) {
	if _, undecided := here.domains(t, name)["--migratedaway"]; undecided {
		if !f.window {
			t.Fatal("it is undecided, outside of the window")
		}
		if n := running(here.domains(t, name), there.domains(t, name)); n > 1 {
			t.Fatalf("%d run", n)
		}
		f.resolve(t, name, way, here, there)
	}
	if out := there.must(t, there.tool(false)+" gc"); strings.Contains(out, name) {
		t.Logf("what the receiver left is removed by xl gc:\n%s", out) // it was killed, and could not
	}
	await(t, "the other copy to go", func() bool { return len(here.domains(t, name))+len(there.domains(t, name)) == 1 })
	a, b := here.domains(t, name), there.domains(t, name)
	t.Logf("here %v, there %v", a, b)
	if n := running(a, b); n != 1 {
		t.Errorf("%d run: here %v, there %v", n, a, b)
	}
	at := here
	if len(b) > 0 {
		at = there
	}
	if said := at.listen(t, name, "check", "pattern:", 1); !strings.Contains(said, "pattern: ok") {
		t.Errorf("its memory is not whole: %s", said)
	}
}

// resolve ends what is undecided. A receiver that was killed with permission has left
// a copy that waits, which the operator has to remove.
func (f fault) resolve(t *testing.T, name, way string, here, there side) {
	ask := here.tool(false) + " migrate -s '' --resolve " + name + way + " 2>&1"
	out, err := here.try(t, ask)
	t.Logf("resolve: %s %v", out, err)
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), "destroy it there, then try again") && !strings.Contains(err.Error(), "unpause or destroy it there") {
		t.Fatal("it does not say what to do")
	}
	clear(t, name, there)
	t.Log(here.must(t, ask))
}

// watch runs a command and calls fn when it says something on stderr.
func watch(t *testing.T, cmd *exec.Cmd, text string, fn func()) string {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	var all strings.Builder
	in := bufio.NewReader(stderr)
	for done := false; ; {
		line, err := in.ReadString('\n')
		all.WriteString(line)
		if !done && strings.Contains(line, text) {
			done = true
			fn()
		}
		if err != nil {
			break
		}
	}
	cmd.Wait()
	return all.String()
}
