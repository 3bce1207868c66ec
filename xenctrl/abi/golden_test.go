package abi

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The values that golden/template/dump.c gives to fields.
func v8(n int) uint8   { return uint8(0x30 + n) }
func v16(n int) uint16 { return uint16(0x2100 + n) }
func v32(n int) uint32 { return uint32(0x0d0c0b00 + n) }
func v64(n int) uint64 { return uint64(0x1716151413121100 + n) }

func run(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

// golden is what the headers of one release say.
type golden struct {
	v       Version
	bytes   map[string][]byte
	numbers map[string]uint64 // also "size X" and "offset X.f"
}

func loadGolden(t testing.TB, v Version) golden {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", v.String()+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := golden{v, map[string][]byte{}, map[string]uint64{}}
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		if name, value, ok := strings.Cut(line, " = "); ok {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			g.numbers[name] = n
			continue
		}
		name, text, _ := strings.Cut(line, " ")
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		g.bytes[name] = b
	}
	return g
}

// eachRelease runs f with the golden bytes of every release.
func eachRelease(t *testing.T, f func(t *testing.T, g golden)) {
	for _, v := range Releases() {
		t.Run(v.String(), func(t *testing.T) { f(t, loadGolden(t, v)) })
	}
}

// same compares what we append with the golden structure: our padding at its
// end may be missing, since arguments are appended to cleared memory.
func same(t *testing.T, g golden, name string, got []byte) {
	t.Helper()
	want, ok := g.bytes[name]
	if !ok {
		t.Errorf("%s: no golden bytes", name)
		return
	}
	long := max(len(got), len(want))
	a := append(bytes.Clone(got), make([]byte, long-len(got))...)
	b := append(bytes.Clone(want), make([]byte, long-len(want))...)
	if !bytes.Equal(a, b) {
		t.Errorf("%s:\n got %x\nwant %x", name, got, want)
	}
}

func TestGoldenCreateDomain(t *testing.T) {
	eachRelease(t, func(t *testing.T, g golden) {
		c := CreateDomain{
			SSIDRef: v32(1), Handle: UUID(run(0x40, 16)), Flags: v32(2), IOMMUOpts: v32(3), MaxVCPUs: v32(4),
			MaxEvtchnPort: int32(v32(5)), MaxGrantFrames: int32(v32(6)), MaxMaptrackFrames: int32(v32(7)),
			EmulationFlags: v32(8), MiscFlags: v32(10), CPUPool: v32(12),
		}
		got, err := AppendCreateDomain(nil, g.v, &c)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != CreateDomainSize(g.v) || len(got) != len(g.bytes["createdomain"]) {
			t.Errorf("createdomain has %d bytes, CreateDomainSize says %d", len(got), CreateDomainSize(g.v))
		}
		full := c
		full.VMTraceBytes, full.GrantVersion = v32(9), uint8(v32(11))
		full.Altp2mMode = v16(13)
		if g.v.AtLeast(4, 21) {
			full.Altp2mCount = v16(14)
		}
		checkFull(t, g, full)
	})
}

// checkFull sets all fields that the release has. The grant version has one
// byte of a word, of which the golden value fills all.
func checkFull(t *testing.T, g golden, c CreateDomain) {
	t.Helper()
	if g.v.Domctl < 0x13 {
		c.VMTraceBytes = 0
	}
	if g.v.Domctl < 0x14 {
		c.GrantVersion = 0
	}
	if g.v.Domctl < 0x17 {
		c.Altp2mMode = 0
	}
	got, err := AppendCreateDomain(nil, g.v, &c)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(g.bytes["createdomain"])
	if g.v.Domctl >= 0x14 {
		le.PutUint32(want[44:], uint32(uint8(v32(11))))
	}
	if !bytes.Equal(got, want) {
		t.Errorf("createdomain:\n got %x\nwant %x", got, want)
	}
}

func TestGoldenDomainInfo(t *testing.T) {
	eachRelease(t, func(t *testing.T, g golden) {
		b := g.bytes["getdomaininfo"]
		if len(b) != DomainInfoSize(g.v) {
			t.Fatalf("DomainInfoSize() = %d, the structure has %d", DomainInfoSize(g.v), len(b))
		}
		want := DomainInfo{
			ID: DomID(v16(1)), Flags: v32(2), Pages: Pages(v64(3)), MaxPages: Pages(v64(4)), Outstanding: Pages(v64(5)),
			Shared: Pages(v64(6)), Paged: Pages(v64(7)), SharedInfoFrame: GFN(v64(8)), CPUTime: duration(v64(9)),
			OnlineVCPUs: v32(10), MaxVCPUID: v32(11), SSIDRef: v32(12), Handle: UUID(run(0x50, 16)), CPUPool: v32(13),
			EmulationFlags: v32(14),
		}
		if g.v.Domctl >= 0x13 {
			want.MiscFlags = v32(15)
		}
		if g.v.Domctl >= 0x14 {
			want.AddressBits = v8(16)
		}
		if got := ParseDomainInfo(b, g.v); got != want {
			t.Errorf("ParseDomainInfo() = %+v\nwant %+v", got, want)
		}
	})
}

func TestGoldenPhysInfo(t *testing.T) {
	eachRelease(t, func(t *testing.T, g golden) {
		want := PhysInfo{
			ThreadsPerCore: v32(1), CoresPerSocket: v32(2), CPUs: v32(3), MaxCPUID: v32(4), Nodes: v32(5),
			MaxNodeID: v32(6), CPUKHz: v32(7), Capabilities: v32(8), TotalPages: Pages(v64(10)), FreePages: Pages(v64(11)),
			ScrubPages: Pages(v64(12)), OutstandingPages: Pages(v64(13)), MaxMFN: MFN(v64(14)),
		}
		if g.v.Sysctl >= 0x15 {
			want.ArchCapabilities = v32(9)
		}
		for i := range want.HWCap {
			want.HWCap[i] = le.Uint32(run(0x70, 32)[4*i:])
		}
		if got := ParsePhysInfo(g.bytes["physinfo"], g.v); got != want {
			t.Errorf("ParsePhysInfo() = %+v\nwant %+v", got, want)
		}
	})
}

// TestGoldenCoverage holds that every golden structure is compared somewhere.
func TestGoldenCoverage(t *testing.T) {
	tested := map[string]bool{"createdomain": true, "getdomaininfo": true, "physinfo": true, "irq_permission": true}
	for _, v := range Releases() {
		g := loadGolden(t, v)
		for name := range encoders(v) {
			tested[name] = true
		}
		for name := range decoders() {
			tested[name] = true
		}
		for name := range g.bytes {
			if !tested[name] {
				t.Errorf("%v: %s is compared with nothing", v, name)
			}
		}
	}
}
