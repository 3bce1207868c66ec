package move

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// fault is what goes wrong, and when: as soon as the receiver says something.
type fault struct {
	name, at string
	quick    bool
	does     string // shell commands there; $me is the receiver
	window   bool   // it may leave the guest suspended here, until it is resolved
	onlyIn   bool   // not in the cover
}

const (
	killReceiver = "kill -9 $me"
	// cutNetwork takes the segment away for longer than ssh waits.
	cutNetwork = "ip link set eth1 down; (sleep 25; ip link set eth1 up) < /dev/null > /dev/null 2>&1 &"
)

// receiver is what receives there: an xl to which something happens as soon as it says
// what is in /run/receiver.at. From here it would be too late.
const receiver = `
at=$(cat /run/receiver.at)
rm -f /run/receiver.err
mkfifo /run/receiver.err
me=$$
while read -r line; do
	case $line in *"$at"*) at="(once)"; . /run/receiver.does ;; esac
	echo "$line" >&2
done < /run/receiver.err &
exec /opt/goxl/bin/xl "$@" 2> /run/receiver.err
`

func faults() (list []fault) {
	for _, f := range []fault{
		{name: "receiver killed while memory comes", at: "Loading new save file", does: killReceiver},
		{name: "receiver killed while memory comes, quick", at: "Loading new save file", does: killReceiver, quick: true, onlyIn: true},
		{name: "receiver killed when it has all", at: "requesting permission", does: killReceiver, window: true, onlyIn: true},
		{name: "receiver killed when it has permission", at: "Got permission", does: killReceiver, quick: true, window: true},
		{name: "network cut while memory comes", at: "Loading new save file", quick: true, does: cutNetwork},
		{name: "network cut when the receiver has all", at: "requesting permission", does: cutNetwork, window: true, onlyIn: true},
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
			there.must(t, "echo '"+f.at+"' > /run/receiver.at; cat > /run/receiver.does <<'END'\n"+f.does+"\nEND\n")
			option := ""
			if f.quick {
				option = "--quick "
			}
			way := " '" + there.ssh + " sh /run/receiver migrate-receive'"
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			said, err := exec.CommandContext(ctx, "sh", "-c", here.tool(false)+" migrate -s '' "+option+name+way).CombinedOutput()
			t.Logf("the sender ended with %v, and said:\n%s", err, said)
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
