package offer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/host"
	"goxl/migrate"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

func TestMain(m *testing.M) { xentest.Main(m) }

// newHost is a host in memory, with a bridge xenbr0.
func newHost(t *testing.T) (*xentest.Machine, *domains.Manager) {
	t.Helper()
	xen, srv, dir := xentest.New(t, xentest.Config{}), server.New(server.Options{}), t.TempDir()
	store, err := xenstore.Dial(t.Context(), xenstore.WithConn(srv.Pipe(0)))
	if err != nil {
		t.Fatal(err)
	}
	for path, value := range map[string]string{"/local/domain/0/name": "Domain-0", "/local/pool/0/name": "Pool-0"} {
		if err := store.Write(t.Context(), path, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "class/net/xenbr0/bridge"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := host.New(host.Paths{Run: dir, Lib: dir, Log: dir, Scripts: dir, Hotplug: dir, XLLock: filepath.Join(dir, "xl"), Proc: dir, Sys: dir, Dev: "/dev"})
	m, err := domains.Open(t.Context(), domains.Options{Xen: xen.Handle(), Store: store, Host: h,
		Paths: domains.Paths{Own: filepath.Join(dir, "own"), State: filepath.Join(dir, "state"), KernelCache: "off", LibExec: dir}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		store.Close()
		srv.Close()
	})
	return xen, m
}

// asked is a question about a PVH guest of 8 MiB with the CPU that the host has to
// offer, changed by change.
func asked(t *testing.T, m *domains.Manager, change func(s *config.Spec, g *Guest)) (*Question, *config.Spec) {
	t.Helper()
	most, err := m.Xen().SystemCPUPolicy(abi.PolicyHVMMax)
	if err != nil {
		t.Fatal(err)
	}
	s := config.NewSpec(config.TypePVH)
	s.CInfo.Name, s.BInfo.Kernel = config.Some("web1"), config.Some("/dev/null")
	s.BInfo.MaxMem, s.BInfo.MaxVCPUs = config.Some(abi.KiB(8<<10)), 1
	s.BInfo.TargetMem = s.BInfo.MaxMem
	g := &Guest{Leaves: most.Leaves, XenMinor: m.Xen().Version().Minor}
	if change != nil {
		change(s, g)
	}
	g.Config = m.ConfigJSON(s)
	return &Question{Goxl: Version, Guest: g}, s
}

func TestReply(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *config.Spec, g *Guest)
		want   []string // of findings that block, in order: subject and part of the text
		notes  []string
	}{
		{name: "nothing speaks against it"},
		{name: "its name is taken", change: func(s *config.Spec, _ *Guest) { s.CInfo.Name = config.Some("Domain-0") }, want: []string{"name: domain 0 has that name"}},
		{name: "a bridge is missing", change: func(s *config.Spec, _ *Guest) {
			s.NICs = []config.NIC{{Bridge: config.Some("xenbr0")}, {Bridge: config.Some("br7")}}
		}, want: []string{"bridge: interface 1: bridge br7: no such bridge"}},
		{name: "another domain's bridge is its affair", change: func(s *config.Spec, _ *Guest) {
			s.NICs = []config.NIC{{Bridge: config.Some("br7"), Backend: config.Backend{Name: config.Some("driver")}}}
		}},
		{name: "too large", change: func(s *config.Spec, _ *Guest) {
			s.BInfo.MaxMem = config.Some(abi.KiB(1 << 30))
			s.BInfo.TargetMem = s.BInfo.MaxMem
		}, want: []string{"memory: not enough memory"}},
		{name: "a device that is not made", change: func(s *config.Spec, _ *Guest) { s.VTPMs = make([]config.VTPM, 1) }, want: []string{"device: vtpm="}},
		{name: "a CPU that is not there", change: func(_ *config.Spec, g *Guest) {
			g.Leaves = append([]abi.CPUIDLeaf(nil), g.Leaves...)
			for i := range g.Leaves {
				if l := &g.Leaves[i]; l.Leaf == 7 && l.Subleaf == 0 {
					l.B = 0xffffffff
				}
			}
		}, want: []string{`cpu: the guest uses features that are missing there: `}},
		{name: "no kernel for a reboot", change: func(s *config.Spec, _ *Guest) { s.BInfo.Kernel = config.Some("/none") }, notes: []string{"kernel: "}},
		{name: "all at once", change: func(s *config.Spec, _ *Guest) {
			s.CInfo.Name = config.Some("Domain-0")
			s.NICs = []config.NIC{{Bridge: config.Some("br7")}, {Bridge: config.Some("br8")}}
			s.VTPMs = make([]config.VTPM, 1)
		}, want: []string{"device: vtpm=", "name: domain 0", "bridge: interface 0", "bridge: interface 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			xen, m := newHost(t)
			free := xen.FreeMemory()
			q, spec := asked(t, m, tt.change)
			a := exchange(t, m, q)
			var blocks, notes []string
			for _, f := range Compare(m, q, spec, a) {
				t.Log(f)
				if f.Blocks {
					blocks = append(blocks, f.String())
				} else {
					notes = append(notes, f.String())
				}
			}
			contain(t, blocks, tt.want)
			contain(t, notes, tt.notes)
			if len(xen.IDs()) > 0 || xen.FreeMemory() != free {
				t.Error("something was made")
			}
		})
	}
}

// exchange has a question and its answer travel.
func exchange(t *testing.T, m *domains.Manager, q *Question) *Answer {
	t.Helper()
	var there, back bytes.Buffer
	if err := Write(&there, q); err != nil {
		t.Fatal(err)
	}
	got, err := ReadQuestion(&there)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Reply(t.Context(), m, Journal(filepath.Join(t.TempDir(), "received")), got)
	if err != nil {
		t.Fatal(err)
	}
	back.WriteString("Welcome to this host!\n")
	if err := Write(&back, a); err != nil {
		t.Fatal(err)
	}
	if a, err = ReadAnswer(&back); err != nil || !a.Speaks(Packed) || a.Speaks("else") {
		t.Fatal(a, err)
	}
	return a
}

func contain(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d findings, want %d", len(got), len(want))
		return
	}
	for i := range want {
		about, part, _ := strings.Cut(want[i], ": ")
		if !strings.Contains(got[i], about+": ") || !strings.Contains(got[i], part) {
			t.Errorf("finding %q, want %q", got[i], want[i])
		}
	}
}

// A disk is the same on both sides, or said not to be.
func TestCompareDisk(t *testing.T) {
	shared := func() DiskState {
		return DiskState{Path: "/d", Storage: &host.Storage{Size: 8192, Samples: []string{"a", "b"}}}
	}
	with := func(change func(s *host.Storage)) DiskState {
		d := shared()
		change(d.Storage)
		return d
	}
	for _, tt := range []struct {
		name              string
		here, there, then DiskState
		readOnly          bool
		want              string
	}{
		{"the same", shared(), shared(), shared(), false, ""},
		{"not there", shared(), DiskState{Error: "no such file"}, shared(), false, "not there: no such file"},
		{"never asked about", shared(), DiskState{}, shared(), false, "not there"},
		{"unreadable here", DiskState{Path: "/d", Error: "I/O error"}, shared(), shared(), false, "not compared: I/O error"},
		{"another size", shared(), with(func(s *host.Storage) { s.Size++ }), shared(), false, "8192 bytes here, 8193 there"},
		{"a device there", shared(), with(func(s *host.Storage) { s.Block = true }), shared(), false, "a file on the other"},
		{"a local file", with(func(s *host.Storage) { s.Local = "ext4" }), shared(), shared(), false, "it lies on ext4"},
		{"a local file that is only read", with(func(s *host.Storage) { s.Local = "ext4" }), shared(), shared(), true, ""},
		{"one name", with(func(s *host.Storage) { s.ID = "x"; s.Samples = nil }), with(func(s *host.Storage) { s.ID = "x" }), shared(), false, ""},
		{"two names", with(func(s *host.Storage) { s.ID = "x" }), with(func(s *host.Storage) { s.ID = "y" }), shared(), false, "it is x here, and y there"},
		{"another content", shared(), with(func(s *host.Storage) { s.Samples[1] = "c" }), shared(), false, "1 of 2 samples differ"},
		{"written meanwhile", shared(), with(func(s *host.Storage) { s.Samples[1] = "c" }), with(func(s *host.Storage) { s.Samples[1] = "c" }), false, ""},
		{"one written meanwhile, and one not", shared(), with(func(s *host.Storage) { s.Samples = []string{"x", "c"} }), with(func(s *host.Storage) { s.Samples[1] = "c" }), false, "2 of 2"},
		{"fewer samples there", shared(), with(func(s *host.Storage) { s.Samples = nil }), shared(), false, "2 of 2"},
		{"gone meanwhile", shared(), with(func(s *host.Storage) { s.Samples[1] = "c" }), DiskState{Error: "gone"}, false, "holds something else"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &config.Disk{VDev: config.Some("xvda"), ReadWrite: 1}
			if tt.readOnly {
				d.ReadWrite = 0
			}
			f := compareDisk(d, tt.here, tt.there, func() DiskState { return tt.then })
			switch {
			case tt.want == "" && f != nil:
				t.Errorf("finding %s", f)
			case tt.want != "" && (f == nil || !strings.Contains(f.Text, tt.want) || !strings.Contains(f.Text, "xvda")):
				t.Errorf("finding %v, want %q", f, tt.want)
			}
		})
	}
}

// Disks are looked at on both sides, by their paths.
func TestDisks(t *testing.T) {
	_, m := newHost(t)
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 3*4096), 0o644); err != nil {
		t.Fatal(err)
	}
	disks := []config.Disk{
		{VDev: config.Some("xvda"), Path: config.Some(file)},
		{VDev: config.Some("xvdb"), Path: config.Some("/none"), ReadWrite: 1},
		{VDev: config.Some("xvdc"), Path: config.Some("rbd:x"), Script: config.Some("block-rbd")},
		{VDev: config.Some("xvdd"), Path: config.Some("/x"), Backend: config.Backend{Name: config.Some("driver")}},
		{VDev: config.Some("xvde"), Format: config.FormatEmpty},
	}
	q, spec := asked(t, m, func(s *config.Spec, g *Guest) {
		s.Disks = disks
		g.Disks = look(t.Context(), m, s, false)
	})
	if d := q.Guest.Disks["xvda"]; len(q.Guest.Disks) != 2 || d.Storage == nil || d.Size != 3*4096 || len(d.Samples) != 3 {
		t.Errorf("seen: %+v", q.Guest.Disks)
	}
	var got []string
	for _, f := range Compare(m, q, spec, exchange(t, m, q)) {
		got = append(got, f.String())
	}
	contain(t, got, []string{"disk: xvdb (/none): not compared", "disk: xvdc: not compared, only its script block-rbd", "disk: xvdd: not compared, another domain"})
}

func TestLocal(t *testing.T) {
	xen, m := newHost(t)
	xen.AddDomain(5)
	s := config.NewSpec(config.TypePV)
	if f := Local(m, 5, domains.PV, s, true); len(f) > 0 {
		t.Error(f)
	}
	if d, _ := xen.Domain(5); d.LogDirty {
		t.Error("log-dirty is left on")
	}
	if err := m.Xen().EnableLogDirty(5); err != nil {
		t.Fatal(err)
	}
	if f := Local(m, 5, domains.PV, s, true); len(f) != 1 || f[0].Blocks || !strings.Contains(f[0].Text, "notes already") {
		t.Error("under another xl's migration:", f)
	}
	if d, _ := xen.Domain(5); !d.LogDirty {
		t.Error("another xl's log-dirty was ended")
	}
	xen.FailOn("domctl/shadow_op", 0, 9, syscall.EOPNOTSUPP)
	if f := Local(m, 5, domains.PV, s, true); len(Blocking(f)) != 1 || !strings.Contains(f[0].Text, "--quick") {
		t.Error(f)
	}
	if f := Local(m, 5, domains.PV, s, false); len(f) > 0 {
		t.Error("quick needs no log-dirty:", f)
	}
	s.PCIDevs, s.BInfo.VNUMANodes = make([]config.PCIDev, 2), make([]config.VNode, 1)
	if f := Local(m, 5, domains.HVM, s, true); len(Blocking(f)) != 3 {
		t.Error(f)
	}
}

const genuineInfo = `host                   : other
hw_caps                : 078bfbff:80a02201:2c100800:00000007:00000000:00000000:00000000:00000000
virt_caps              : pv hvm hap
free_memory            : 100
xen_minor              : 14
xen_version            : 4.14.6
`

func TestCompareGenuine(t *testing.T) {
	_, m := newHost(t)
	for _, tt := range []struct {
		name, info string
		change     func(s *config.Spec, g *Guest)
		want       []string
	}{
		{"all there", strings.ReplaceAll(genuineInfo, "14", "22"), func(s *config.Spec, g *Guest) { g.Leaves = nil }, []string{"cpu: checked by hw_caps"}},
		{"older, small, and without features", genuineInfo, func(s *config.Spec, g *Guest) {
			s.BInfo.MaxMem = config.Some(abi.KiB(1 << 20))
			s.BInfo.TargetMem = s.BInfo.MaxMem
			g.Leaves = []abi.CPUIDLeaf{{Leaf: 7, B: 1 << 5}}
			s.Disks = []config.Disk{{VDev: config.Some("xvda"), Path: config.Some("/d")}}
			s.NICs = make([]config.NIC, 1)
		}, []string{"xen: 4.14.6 there is older", "memory: 100 MiB are free there", "cpu: avx2", "cpu: checked by", "disk: not checked", "bridge: not checked: that it has xenbr0"}},
		{"no PVH", strings.ReplaceAll(strings.Replace(genuineInfo, " hvm hap", "", 1), "14", "22"), func(s *config.Spec, g *Guest) { g.Leaves = nil }, []string{`type: virt_caps says "pv"`, "cpu: checked"}},
		{"no xl info at all", "zsh: command not found\n", nil, []string{"xen: not compared", "memory: not compared", "cpu: not compared"}},
		{"hw_caps of another kind", "hw_caps : 1:2:3:4:5:6:7:x\nxen_minor : 22\nfree_memory : 99999\n", nil, []string{"cpu: hw_caps of its xl info is"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q, spec := asked(t, m, tt.change)
			var got []string
			for _, f := range CompareGenuine(m, q, spec, tt.info) {
				got = append(got, f.String())
			}
			contain(t, got, tt.want)
		})
	}
}

func TestMessages(t *testing.T) {
	if q, err := ReadQuestion(strings.NewReader(" \n")); err != nil || q.Guest != nil {
		t.Error(q, err)
	}
	for _, text := range []string{"", "usage: xl", "{}", `{"goxl":0}`, `{"goxl":1`, `{"goxl":"1"}`, "[1]", `{"goxl":1}` + strings.Repeat(" ", mostMessage)} {
		if a, err := ReadAnswer(strings.NewReader(text)); err == nil {
			t.Errorf("%.20q is an answer: %+v", text, a)
		} else if text != "" && !errors.Is(err, ErrNotOurs) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if a, err := ReadAnswer(strings.NewReader(`{"goxl":7,"news":{"x":1},"transports":["other"]}`)); err != nil || a.Speaks(Packed) {
		t.Error("a later version is not understood:", err)
	}
	if f := (Finding{"disk", true, "\x1b[2Jgone"}); strings.Contains(f.String(), "\x1b") {
		t.Errorf("%q", f)
	}
}

func FuzzReadQuestion(f *testing.F) {
	f.Add([]byte(`{"goxl":1,"guest":{"config":{},"leaves":[{"Leaf":7}],"disks":{"xvda":{"path":"/d","Size":1}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if q, err := ReadQuestion(bytes.NewReader(b)); err == nil && q.Goxl == 0 {
			t.Error("no version")
		}
		ParseList(string(b), "")
		infoFields(string(b))
	})
}

func TestPeers(t *testing.T) {
	p, now := Peers(filepath.Join(t.TempDir(), "deep", "peers")), time.Now()
	const host = "ssh 'a b' xl"
	if p.Of(host).IsGenuine(now) {
		t.Error("known before it is")
	}
	var peer Peer
	peer.SetGenuine(now, true)
	peer.Pace = migrate.Pace{KiBPerSecond: 5, Fixed: time.Second}
	if err := p.Remember(host, peer); err != nil {
		t.Fatal(err)
	}
	got := p.Of(host)
	for at, want := range map[time.Duration]bool{0: true, 23 * time.Hour: true, 25 * time.Hour: false, -48 * time.Hour: false} {
		if got.IsGenuine(now.Add(at)) != want {
			t.Errorf("after %s: %t", at, !want)
		}
	}
	if got.Pace != peer.Pace || p.Of("ssh other xl") != (Peer{}) {
		t.Error(got)
	}
	got.SetGenuine(now, false)
	if p.Remember(host, got) != nil || p.Of(host).IsGenuine(now) {
		t.Error("still genuine")
	}
	if err := os.WriteFile(p.file(host), []byte(`{"genuine":"`), 0o644); err != nil || p.Of(host) != (Peer{}) {
		t.Error("half a file is believed", err)
	}
}

func TestJournal(t *testing.T) {
	j := Journal(filepath.Join(t.TempDir(), "received"))
	if err := j.Comes("u"); err != nil || !j.Started("u").IsZero() {
		t.Error(err)
	}
	if err := j.Starts("u"); err != nil || time.Since(j.Started("u")) > time.Minute || !j.Started("v").IsZero() {
		t.Error(err, j.Started("u"))
	}
	if err := os.WriteFile(j.file("u"), []byte("?"), 0o644); err != nil || j.Started("u").IsZero() {
		t.Error("what cannot be read counts as never started")
	}
	if err := j.Comes("u"); err != nil || !j.Started("u").IsZero() {
		t.Error(err)
	}
}

const someUUID = "0a1b2c3d-0000-1111-2222-0123456789ab"

func TestHolder(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer Answer
		want   migrate.Copy
	}{
		{"nothing", Answer{}, migrate.CopyNone},
		{"it runs", Answer{Holds: []Holding{{ID: 3, Name: "web1"}}}, migrate.CopyRuns},
		{"it was renamed and runs", Answer{Holds: []Holding{{ID: 3, Name: "web2"}}}, migrate.CopyRuns},
		{"it has shut down and is preserved", Answer{Holds: []Holding{{ID: 3, Name: "web1", Shutdown: true}}}, migrate.CopyRuns},
		{"it waits for permission", Answer{Holds: []Holding{{ID: 3, Name: "web1--incoming", Paused: true}}}, migrate.CopyWaits},
		{"it has permission and is paused", Answer{Holds: []Holding{{ID: 3, Name: "web1", Paused: true}}}, migrate.CopyWaits},
		{"it moved on from there, undecided", Answer{Holds: []Holding{{ID: 3, Name: "web1--migratedaway", Shutdown: true}}, Started: time.Now()}, migrate.CopyEnded},
		{"it ended", Answer{Started: time.Now()}, migrate.CopyEnded},
		{"only we ourselves, on one host", Answer{Boot: "b", Holds: []Holding{{ID: 7, Name: "web1--migratedaway", Shutdown: true}}}, migrate.CopyNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, what := CopyOf(&tt.answer, "web1", "b", 7); got != tt.want || what == "" {
				t.Errorf("copy %d (%s), want %d", got, what, tt.want)
			}
		})
	}
}

func TestParseList(t *testing.T) {
	const head = "Name   ID   Mem VCPUs\tState\tTime(s) UUID                            Reason-Code\tSecurity Label\n" +
		"Domain-0                                     0  1024     2     r-----      40.2 00000000-0000-0000-0000-000000000000                  -\n"
	line := func(name, state string) string {
		return fmt.Sprintf("%-40s %5d %5d %5d     %s  %8.1f %s                  -\n", name, 5, 64, 1, state, 1.5, someUUID)
	}
	for _, tt := range []struct {
		name, text string
		want       []Holding
		bad        bool
	}{
		{"no guest", head, nil, false},
		{"it runs", head + line("web1", "-b----"), []Holding{{ID: 5, Name: "web1"}}, false},
		{"a name with a blank", head + line("web 1", "r-----"), []Holding{{ID: 5, Name: "web 1"}}, false},
		{"it is paused", head + line("web1--incoming", "--p---"), []Holding{{ID: 5, Name: "web1--incoming", Paused: true}}, false},
		{"it is suspended", head + line("web1", "---s--"), []Holding{{ID: 5, Name: "web1", Shutdown: true}}, false},
		{"it is dying", head + line("web1", "-----d"), nil, false},
		{"no list", "Welcome\n", nil, true},
		{"nothing", "", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseList(tt.text, someUUID)
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || (err != nil) != tt.bad {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
		})
	}
}
