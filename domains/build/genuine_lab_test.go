package build_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"goxl/domains/build"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// genuine creates a paused guest by the genuine xl, from the same kernel,
// ramdisk and command line as linux, and returns its domid.
func (s *host) genuine(p build.Params, more string) abi.DomID {
	s.t.Helper()
	xl := os.Getenv("GENUINE_XL")
	if xl == "" {
		found, err := filepath.Glob("/usr/lib/xen-*/bin/xl")
		if err != nil || len(found) == 0 {
			s.t.Fatalf("no genuine xl: %v", err)
		}
		xl = found[0]
	}
	dir := os.Getenv("GOXL_GUEST")
	if dir == "" {
		dir = "/opt/guest"
	}
	name := "build-genuine-" + p.Kind.String()
	cfg := filepath.Join(s.t.TempDir(), "guest.cfg")
	text := fmt.Sprintf("name=%q\ntype=%q\nkernel=%q\nramdisk=%q\ncmdline=%q\nmemory=%d\nvcpus=%d\n%s\n", name, p.Kind,
		dir+"/vmlinuz", dir+"/initrd.img", p.CmdLine, p.Target>>10, p.VCPUs, more)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if out, err := exec.Command(xl, "destroy", name).CombinedOutput(); err != nil {
			s.t.Errorf("destroy %s: %v\n%s", name, err, out)
		}
	})
	if out, err := exec.Command(xl, "create", "-p", cfg).CombinedOutput(); err != nil {
		s.t.Fatalf("xl create: %v\n%s\n%s", err, out, text)
	}
	out, err := exec.Command(xl, "domid", name).Output()
	if err != nil {
		s.t.Fatalf("xl domid: %v", err)
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		s.t.Fatal(err)
	}
	return abi.DomID(id)
}

// twoGuests compares memory of a guest of ours and a genuine one.
type twoGuests struct {
	*host
	ours, theirs abi.DomID
}

// compare maps runs of pages of both guests and reports those that differ, by
// their index in the runs, unless there is a reason. A page that neither has is
// the same.
func (g *twoGuests) compare(what string, a, b []abi.GFN, reasons map[int]string) {
	g.t.Helper()
	unexplained, explained := 0, map[string]int{}
	for first := 0; first < len(a); first += 1024 {
		end := min(first+1024, len(a))
		g.both(a[first:end], b[first:end], func(i int, pa, pb []byte) {
			if bytes.Equal(pa, pb) {
				return
			}
			if why, ok := reasons[first+i]; ok {
				explained[why]++
			} else if unexplained++; unexplained <= 20 {
				g.t.Errorf("%s %#x differs: %s", what, first+i, firstDiff(pa, pb))
			}
		})
	}
	g.t.Logf("%s: %d compared, %d differ", what, len(a), unexplained)
	for why, n := range explained {
		g.t.Logf("%s: %d differ, as they should: %s", what, n, why)
	}
}

// both calls fn with every pair of pages, nil for one that is not there.
func (g *twoGuests) both(a, b []abi.GFN, fn func(i int, pa, pb []byte)) {
	g.t.Helper()
	ma, ea, err := g.h.MapForeignSome(g.ours, a, xenctrl.ProtRead)
	if err != nil {
		g.t.Fatal(err)
	}
	defer ma.Close()
	mb, eb, err := g.h.MapForeignSome(g.theirs, b, xenctrl.ProtRead)
	if err != nil {
		g.t.Fatal(err)
	}
	defer mb.Close()
	page := func(all []byte, errs []error, i int) []byte {
		if errs[i] != nil {
			return nil
		}
		return all[i<<abi.PageShift:][:abi.PageSize]
	}
	_ = ma.With(func(ba []byte) error {
		return mb.With(func(bb []byte) error {
			for i := range a {
				fn(i, page(ba, ea, i), page(bb, eb, i))
			}
			return nil
		})
	})
}

// run lists n frames from first on.
func run(first abi.GFN, n int) []abi.GFN {
	list := make([]abi.GFN, n)
	for i := range list {
		list[i] = first + abi.GFN(i)
	}
	return list
}

// firstDiff says where two pages differ first, with some bytes of each.
func firstDiff(a, b []byte) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("at %#x: % x, genuine % x", i, a[i:min(i+24, len(a))], b[i:min(i+24, len(b))])
		}
	}
	return fmt.Sprintf("%d and %d bytes", len(a), len(b))
}

// sameDomain compares what Xen itself says of two guests.
func (s *host) sameDomain(ours, theirs abi.DomID) {
	s.t.Helper()
	a, err := s.h.DomainInfo(ours)
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := s.h.DomainInfo(theirs)
	if err != nil {
		s.t.Fatal(err)
	}
	if a.Flags != b.Flags || a.MaxPages != b.MaxPages || a.EmulationFlags != b.EmulationFlags ||
		a.MaxVCPUID != b.MaxVCPUID || a.MiscFlags != b.MiscFlags || a.Outstanding != b.Outstanding {
		s.t.Errorf("ours    %+v\ngenuine %+v", a, b)
	}
	pa, err := s.h.CPUPolicy(ours)
	if err != nil {
		s.t.Fatal(err)
	}
	pb, err := s.h.CPUPolicy(theirs)
	if err != nil {
		s.t.Fatal(err)
	}
	if !slices.Equal(pa.Leaves, pb.Leaves) {
		s.t.Errorf("CPUID leaves differ:\nours    %x\ngenuine %x", pa.Leaves, pb.Leaves)
	}
	if !slices.Equal(pa.MSRs, pb.MSRs) {
		s.t.Errorf("MSRs differ:\nours    %x\ngenuine %x", pa.MSRs, pb.MSRs)
	}
	ta, err := s.h.TSCInfo(ours)
	if err != nil {
		s.t.Fatal(err)
	}
	tb, err := s.h.TSCInfo(theirs)
	if err != nil {
		s.t.Fatal(err)
	}
	if ta.Mode != tb.Mode || ta.KHz != tb.KHz {
		s.t.Errorf("TSC %+v, genuine %+v", ta, tb)
	}
}

// TestLabSamePVH compares a PVH guest of ours with one that the genuine xl made
// of the same parts, before either has run.
func TestLabSamePVH(t *testing.T) {
	s := openHost(t)
	p := linux(t, build.PVH, 96<<10, 3)
	theirs := s.genuine(p, "")
	ours := s.create(build.PVH, 3)
	s.build(ours, p)
	s.sameDomain(ours, theirs)
	for i := range uint32(39) {
		a, erra := s.h.HVMParam(ours, i)
		b, errb := s.h.HVMParam(theirs, i)
		if a != b || (erra == nil) != (errb == nil) {
			t.Errorf("HVM parameter %d: %#x (%v), genuine %#x (%v)", i, a, erra, b, errb)
		}
	}
	ca, err := s.h.HVMContext(ours)
	if err != nil {
		t.Fatal(err)
	}
	cb, err := s.h.HVMContext(theirs)
	if err != nil {
		t.Fatal(err)
	}
	compareContexts(t, ca, cb)
	sa, err := s.h.PagingMempool(ours)
	if err != nil {
		t.Fatal(err)
	}
	if sb, err := s.h.PagingMempool(theirs); err != nil || sa != sb {
		t.Errorf("paging pool %d KiB, genuine %d KiB (%v)", sa, sb, err)
	}
	g := &twoGuests{s, ours, theirs}
	start := int(le.Uint64(records(ca)["2/0"][520:]) >> abi.PageShift)
	ram := run(0, int(p.Target.Pages()))
	g.compare("page of RAM", ram, ram, map[int]string{
		start: "ACPI tables have another size, and are NVS where Xen's tools before 4.21 say ACPI"})
	special := run(0xfeff0, 16)
	g.compare("page from 0xfeff0", special, special, map[int]string{0xc: "xenstored has marked its ring as connected"})
	// Of the ACPI tables ours has as many processors as the guest, the genuine
	// one always 128: package acpi tests what they say.
}

// records splits a HVM context.
func records(ctx []byte) map[string][]byte {
	all := map[string][]byte{}
	for len(ctx) >= 8 {
		kind, instance := le.Uint16(ctx), le.Uint16(ctx[2:])
		n := 8 + int(le.Uint32(ctx[4:]))
		all[fmt.Sprintf("%d/%d", kind, instance)] = ctx[8:n]
		if kind == 0 {
			break
		}
		ctx = ctx[n:]
	}
	return all
}

// compareContexts compares the records of two guests. What counts time differs.
func compareContexts(t *testing.T, a, b []byte) {
	t.Helper()
	ra, rb := records(a), records(b)
	for name, rec := range rb {
		if _, ok := ra[name]; !ok {
			t.Errorf("record %s: only the genuine guest has it (%d bytes)", name, len(rec))
		}
	}
	for name, rec := range ra {
		other, ok := rb[name]
		if !ok {
			t.Errorf("record %s: the genuine guest has none", name)
			continue
		}
		if strings.HasPrefix(name, "2/") { // the TSC at 1008 goes on
			rec, other = bytes.Clone(rec), bytes.Clone(other)
			clear(rec[1008:1016])
			clear(other[1008:1016])
		}
		if !bytes.Equal(rec, other) {
			t.Errorf("record %s differs %s", name, firstDiff(rec, other))
		}
	}
}
