package interop

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// TestLabDumpCore dumps the same paused guest with both tools: the files are equal
// byte for byte. One thing changes under a paused guest, too: dom0 sets the wall
// clock in its shared info page now and then, and a PVH guest sees that page among
// its own.
//
// The genuine tool maps a PVH guest's million page numbers below 4 GiB one by one,
// which takes five minutes under emulation: only the whole matrix has that.
func TestLabDumpCore(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	kinds := []string{"pv"}
	if dom0.Full() {
		kinds = append(kinds, "pvh")
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			defer dom0.Leftovers(t)()
			g := newGuest(t, "iop-dump-"+kind, kind)
			withoutDevices(t, g)
			defer g.clear(t, genuine)
			dumpRefused(t, g, ours, genuine)
			genuine.Must(t, "create", g.cfg)
			g.waitReady(t, genuine)
			genuine.Must(t, "pause", g.name)
			dir := filepath.Dir(g.cfg)
			a, b := filepath.Join(dir, "genuine.core"), filepath.Join(dir, "ours.core")
			theirs := genuine.Run(t, 15*time.Minute, "dump-core", g.name, a)
			if r := ours.Run(t, 5*time.Minute, "dump-core", g.name, b); r.Code != 0 || r.Stdout != "" || r.Stderr != "" {
				t.Fatalf("ours: %+v", r)
			}
			if theirs.Code != 0 {
				// Up to 4.15 it cannot read the page tables that newer kernels offer.
				t.Logf("the genuine tool of this release cannot dump the guest: %s", theirs.Stderr)
				checkDump(t, b)
				return
			}
			compareDumps(t, a, b)
		})
	}
}

// withoutDevices takes disk and network from a guest: their backends write into its
// memory even while it is paused.
func withoutDevices(t *testing.T, g *guest) {
	t.Helper()
	text, err := os.ReadFile(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(l string) bool {
		return strings.HasPrefix(l, "disk") || strings.HasPrefix(l, "vif")
	})
	if err := os.WriteFile(g.cfg, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// dumpRefused compares what both tools answer where there is nothing to dump.
func dumpRefused(t *testing.T, g *guest, ours, genuine dom0.Tool) {
	t.Helper()
	file := filepath.Join(filepath.Dir(g.cfg), "none.core")
	for _, args := range [][]string{
		{"dump-core"}, {"dump-core", g.name}, {"dump-core", g.name, file}, {"dump-core", "7777", file}, {"dump-core", "0", file},
	} {
		a, b := genuine.Run(t, dom0.Patience, args...), ours.Run(t, dom0.Patience, args...)
		if a.Code != b.Code {
			t.Errorf("xl %v: the genuine tool exits %d, ours %d: %s", args, a.Code, b.Code, b.Stderr)
		}
		if a.Code == 1 && lastLine(a.Stderr) != lastLine(b.Stderr) {
			t.Errorf("xl %v: the genuine tool says %q, ours %q", args, lastLine(a.Stderr), lastLine(b.Stderr))
		}
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// checkDump holds a dump to what any ELF reader expects of it.
func checkDump(t *testing.T, path string) *elf.File {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if f.Type != elf.ET_CORE || f.Section(".xen_pages") == nil || f.Section(".xen_prstatus") == nil {
		t.Errorf("%s is no dump", path)
	}
	return f
}

const pageSize = 4096

// clock is the wall clock in struct shared_info: wc_version, wc_sec, wc_nsec and
// wc_sec_hi.
const clock, clockEnd = 3072, 3088

func withoutClock(page []byte) []byte {
	p := bytes.Clone(page)
	clear(p[clock:clockEnd])
	return p
}

// compareDumps reports where two dumps differ but for the wall clock.
func compareDumps(t *testing.T, genuine, ours string) {
	t.Helper()
	a, b := checkDump(t, genuine), checkDump(t, ours)
	if len(a.Sections) != len(b.Sections) {
		t.Fatalf("%d sections, the genuine one has %d", len(b.Sections), len(a.Sections))
	}
	var shared []byte
	for i, s := range a.Sections {
		if s.SectionHeader != b.Sections[i].SectionHeader {
			t.Errorf("section %+v, the genuine one is %+v", b.Sections[i].SectionHeader, s.SectionHeader)
		}
		if s.Name == ".xen_shared_info" {
			shared, _ = s.Data()
			shared = withoutClock(shared)
		}
	}
	fa, fb := open(t, genuine), open(t, ours)
	info := a.Section(".xen_shared_info")
	pa, pb := make([]byte, pageSize), make([]byte, pageSize)
	pages, clocks := 0, 0
	for at := int64(0); ; at += pageSize {
		na, _ := io.ReadFull(fa, pa)
		nb, _ := io.ReadFull(fb, pb)
		if na != nb {
			t.Fatalf("the files end at %d and %d", at+int64(na), at+int64(nb))
		}
		if na == 0 {
			break
		}
		pages++
		if info != nil {
			hideClock(pa[:na], pb[:na], at-int64(info.Offset))
		}
		if bytes.Equal(pa[:na], pb[:na]) {
			continue
		}
		if shared != nil && bytes.Equal(withoutClock(pa), shared) && bytes.Equal(withoutClock(pb), shared) {
			clocks++
			continue
		}
		t.Errorf("the page at %d differs", at)
	}
	t.Logf("%d pages of the files are equal; the wall clock differs in %d more", pages-clocks, clocks)
}

// hideClock makes the section's wall clock equal. At is where the pages are in the
// section, which need not start on a page.
func hideClock(a, b []byte, at int64) {
	for i := range a {
		if x := at + int64(i); x >= clock && x < clockEnd {
			a[i], b[i] = 0, 0
		}
	}
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
