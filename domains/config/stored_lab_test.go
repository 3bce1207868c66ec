package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// labGuest is a guest that the genuine xl makes, and never runs.
const labGuest = `
name = "config-stored"
uuid = "c0f10000-0000-4000-8000-000000000001"
type = "pvh"
kernel = "%s/vmlinuz"
extra = "console=hvc0 \"quoted\" /é"
memory = 64
maxmem = 96
vcpus = 2
cpus = "0"
cpus_soft = [ "0-1" ]
cpuid = "host,avx2=0,family=6,lahfsahf=0"
cpu_weight = 512
vif = [ "bridge=xenbr0,script=/bin/true,rate=10Mb/s", "mac=00:16:3e:c0:f1:00,script=/bin/true" ]
on_crash = "preserve"
nomigrate = 1
`

// TestLabStored lets the genuine xl make a guest, and reads and writes again what
// libxl stored about it and what `xl list -l` prints.
func TestLabStored(t *testing.T) {
	xentest.NeedXen(t)
	xl, guest := os.Getenv("GENUINE_XL"), os.Getenv("GOXL_GUEST")
	if xl == "" || guest == "" {
		t.Skip("GENUINE_XL and GOXL_GUEST do not say where the genuine xl and a kernel are")
	}
	rel, host := labHost(t)
	run := func(args ...string) []byte {
		out, err := exec.Command(xl, args...).Output()
		if err != nil {
			t.Fatalf("xl %v: %v\n%s", args, err, stderrOf(err))
		}
		return out
	}
	src := fmt.Appendf(nil, labGuest, guest)
	file := filepath.Join(t.TempDir(), "guest.cfg")
	if err := os.WriteFile(file, src, 0o600); err != nil {
		t.Fatal(err)
	}
	run("create", "-q", "-p", "-e", file)
	t.Cleanup(func() { run("destroy", "config-stored") })

	asked, _, err := Parse(file, src, Options{Release: rel, Host: host})
	if err != nil {
		t.Fatal(err)
	}
	stored := readStored(t)
	checkSame(t, "userdata", stored, rel)
	s, err := DecodeJSON(stored)
	if err != nil {
		t.Fatal(err)
	}
	// What libxl adds to what was asked for.
	asked.CInfo.DomID = AnyDomID
	asked.BInfo.VideoMem = Some(s.BInfo.VideoMem.Value())
	asked.BInfo.ArchX86.MSRRelaxed = False
	asked.NICs[0].MAC = s.NICs[0].MAC
	asked.NICs[0].Type, asked.NICs[1].Type = NICVIF, NICVIF
	if s.NICs[0].MAC == (MAC{}) {
		t.Error("libxl stored no MAC")
	}
	if diff := cmp.Diff(string(stored), string(asked.AppendJSON(nil, rel))); diff != "" {
		t.Errorf("userdata (- genuine, + what we parsed)\n%s", diff)
	}

	list := run("list", "-l", "config-stored")
	var entries []struct {
		DomID  uint16          `json:"domid"`
		Config json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(list, &entries); err != nil || len(entries) != 1 {
		t.Fatalf("xl list -l: %v\n%s", err, list)
	}
	if s, err = DecodeJSON(entries[0].Config); err != nil {
		t.Fatal(err)
	}
	again := AppendList(nil, []Domain{{abi.DomID(entries[0].DomID), s}}, rel)
	if diff := cmp.Diff(string(list), string(again)+"\n"); diff != "" {
		t.Errorf("xl list -l (- genuine, + ours)\n%s", diff)
	}
}

// checkSame reads a configuration and writes it again.
func checkSame(t *testing.T, what string, src []byte, rel Release) {
	t.Helper()
	s, err := DecodeJSON(src)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if diff := cmp.Diff(string(src), string(s.AppendJSON(nil, rel))); diff != "" {
		t.Errorf("%s (- genuine, + ours)\n%s", what, diff)
	}
}

// readStored returns what libxl stored about the guest, without the zero byte.
func readStored(t *testing.T) []byte {
	t.Helper()
	files, _ := filepath.Glob("/var/lib/xen/userdata-d.*.c0f10000-0000-4000-8000-000000000001.libxl-json")
	if len(files) != 1 {
		t.Fatalf("userdata files: %v", files)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimRight(b, "\x00")
}

func stderrOf(err error) []byte {
	if e, ok := err.(*exec.ExitError); ok {
		return e.Stderr
	}
	return nil
}
