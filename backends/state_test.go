package backends

import (
	"fmt"
	"testing"
)

// every calls f with each input there is.
func every(f func(input)) {
	for own := Unknown; own <= Reconfigured; own++ {
		for peer := Unknown; peer <= Reconfigured; peer++ {
			for bits := range 32 {
				f(input{own, peer, bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0, bits&16 != 0})
			}
		}
	}
}

// after is what an input becomes when the step was taken and the frontend is silent.
func after(in input, act action, to State) input {
	in.Own = to
	switch act {
	case connect, reconnect, reattach:
		in.Attached, in.Settled, in.Failed = true, in.Peer == Connected, false
	case release:
		in.Attached, in.Settled = false, false
		in.Failed = in.Failed && to != Closed
	}
	return in
}

// TestStepsAreSound holds what must be true of each step, whatever the input.
func TestStepsAreSound(t *testing.T) {
	every(func(in input) {
		act, to := next(in)
		bad := func(why string) { t.Errorf("%+v: %v to %v: %s", in, act, to, why) }
		switch act {
		case wait:
			if to != in.Own {
				bad("a state changed without a step")
			}
			if in.Attached && (in.Peer == Closed || in.Peer == Unknown) {
				bad("served on for a frontend that is gone")
			}
			if in.Attached && (in.Own == Closed || in.Own == Unknown) {
				bad("served on without being wanted")
			}
			if in.Attached && in.Failed {
				bad("served on after a failure")
			}
		case advertise:
			if in.Attached || !in.Online || in.Refused || to != InitWait {
				bad("features to nobody")
			}
			if in.Own != Initialising && !(in.Own == Closed && in.Peer == Initialising) {
				bad("features out of turn")
			}
		case connect:
			if in.Attached || !in.Online || in.Own != InitWait || in.Failed || in.Refused || to != Connected {
				bad("connected out of turn")
			}
			if in.Peer != Initialised && in.Peer != Connected {
				bad("connected to a frontend that is not ready")
			}
		case reconnect:
			if !in.Attached || !in.Settled || in.Peer != Initialised || to != Connected {
				bad("reconnected without new rings")
			}
		case reattach:
			if in.Attached || in.Failed || in.Refused || to != in.Own || in.Own != Connected && in.Own != Closing {
				bad("nobody served before")
			}
		case announce:
			if to != Closing || in.Own == Closing {
				bad("only the start of closing is announced")
			}
		case release:
			if to != Closed && to != Closing && to != in.Own {
				bad("let go and did not close")
			}
		}
		if act != wait && act != reattach && act != reconnect && act != release && to == in.Own {
			bad("a step without a change")
		}
	})
}

// TestStepsEnd holds that no input makes the backend run in circles while the frontend
// is silent.
func TestStepsEnd(t *testing.T) {
	every(func(start input) {
		in := start
		for range 8 {
			act, to := next(in)
			if act == wait {
				return
			}
			in = after(in, act, to)
		}
		t.Errorf("%+v: still taking steps at %+v", start, in)
	})
}

// TestSequences plays whole lives, as frontends and toolstacks drive them.
func TestSequences(t *testing.T) {
	type step struct {
		change func(*input)
		want   string // steps taken
	}
	peer := func(s State) func(*input) { return func(in *input) { in.Peer = s } }
	offline := func(in *input) { in.Online, in.Own = false, Closing }
	fresh := input{Own: Initialising, Peer: Initialising, Online: true}
	live := input{Own: Connected, Peer: Connected, Online: true, Attached: true, Settled: true}
	for _, tt := range []struct {
		name  string
		in    input
		steps []step
	}{
		{"a disk comes and goes", fresh, []step{
			{nil, "advertise>2"}, {peer(Initialised), "connect>4"}, {peer(Connected), ""},
			{offline, ""}, {peer(Closing), ""}, {peer(Closed), "release>6"}}},
		{"a network interface jumps to connected", fresh, []step{
			{nil, "advertise>2"}, {peer(Connected), "connect>4"}, {peer(Closing), "announce>5"}, {peer(Closed), "release>6"}}},
		{"the guest loads its driver again", live, []step{
			{peer(Closing), "announce>5"}, {peer(Closed), "release>6"}, {peer(Initialising), "advertise>2"},
			{peer(Initialised), "connect>4"}}},
		{"a crash kernel says no farewell", live, []step{
			{peer(Initialising), "release>6 advertise>2"}, {peer(Connected), "connect>4"}}},
		{"a guest resumes in place with new rings", live, []step{
			{peer(Initialised), "reconnect>4"}, {peer(Connected), ""}}},
		{"a mounted disk is used until it is closed", live, []step{
			{offline, ""}, {peer(Closing), ""}, {peer(Connected), ""}, {peer(Closed), "release>6"}}},
		{"taken away by force", live, []step{
			{func(in *input) { offline(in); in.Peer = Unknown }, "release>6"}}},
		{"the domain is gone with all nodes", live, []step{
			{func(in *input) { in.Own, in.Peer = Unknown, Unknown }, "release>0"}}},
		{"the toolstack forces the closed state", live, []step{
			{func(in *input) { in.Own = Closed }, "release>6"}}},
		{"taken away before the guest had a driver", fresh, []step{
			{nil, "advertise>2"}, {offline, "release>6"}, {peer(Initialising), ""}}},
		{"the daemon is restarted", input{Own: Connected, Peer: Connected, Online: true}, []step{
			{nil, "reattach>4"}, {peer(Closing), "announce>5"}, {peer(Closed), "release>6"}}},
		{"the daemon is restarted while a mounted disk is being detached", input{Own: Closing, Peer: Closing}, []step{
			{nil, "reattach>5"}, {peer(Closed), "release>6"}}},
		{"the daemon is restarted and the guest was, too", input{Own: Connected, Peer: Initialising, Online: true}, []step{
			{nil, "release>5 release>6 advertise>2"}}},
		{"the frontend breaks its ring", live, []step{
			{func(in *input) { in.Failed = true }, "release>5"}, {peer(Closed), "release>6"}, {peer(Initialising), "advertise>2"}}},
		{"the frontend breaks its ring and stays", live, []step{
			{func(in *input) { in.Failed = true }, "release>5"}, {offline, "release>6"}}},
		{"the image cannot be opened", input{Own: Initialising, Peer: Initialising, Online: true, Refused: true}, []step{
			{nil, "announce>5 release>6"}, {peer(Closed), ""}, {peer(Initialising), "advertise>2"}}},
		{"ping-pong", live, []step{
			{peer(Closed), "release>6"}, {peer(Connected), ""}, {peer(Initialised), ""}, {peer(Initialising), "advertise>2"},
			{peer(Connected), "connect>4"}, {peer(Closed), "release>6"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in
			for n, s := range tt.steps {
				if s.change != nil {
					s.change(&in)
				}
				in.look()
				got := ""
				for act, to := next(in); act != wait; act, to = next(in) {
					if got != "" {
						got += " "
					}
					got += fmt.Sprintf("%v>%d", act, uint8(to))
					in = after(in, act, to)
				}
				if got != s.want {
					t.Errorf("step %d: took %q, want %q", n, got, s.want)
				}
			}
		})
	}
}

func TestParsePath(t *testing.T) {
	const base = "/local/domain/0/backend/qdisk"
	for path, want := range map[string]string{
		base:                        "",
		base + "/7":                 "",
		base + "/7/51712":           "7/51712",
		base + "/7/51712/state":     "7/51712",
		base + "/7/51712/a/b":       "7/51712",
		base + "/07/51712":          "",
		base + "/7/+1":              "",
		base + "/7/":                "",
		base + "/65535/1":           "",
		base + "/-1/1":              "",
		base + "/7/99999999999":     "",
		"/local/domain/1/backend/7": "",
	} {
		id, ok := parsePath(base, path)
		if got := id.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v", path, got, ok)
		}
	}
}

func TestKeys(t *testing.T) {
	k := Keys{"n": "12", "hex": "0x10", "neg": "-1", "plus": "+1", "space": " 1", "empty": "", "zero": "0", "long": string(make([]byte, 4000))}
	if v, err := k.Need("n", 1, 12); v != 12 || err != nil {
		t.Error(v, err)
	}
	for _, name := range []string{"hex", "neg", "plus", "space", "empty", "long", "missing"} {
		if _, err := k.Need(name, 0, 1<<63); err == nil {
			t.Errorf("%s was taken", name)
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: the message has %d bytes", name, len(err.Error()))
		}
	}
	if _, err := k.Need("n", 0, 11); err == nil {
		t.Error("a number beyond the range was taken")
	}
	if v, err := k.Flag("zero"); v || err != nil {
		t.Error(v, err)
	}
	if v, err := k.Flag("missing"); v || err != nil {
		t.Error(v, err)
	}
}
