package mini

import (
	"os"
	"os/exec"
	"testing"

	"goxl/domains/image"
	"goxl/lab"
)

// TestBuild compiles the kernel and has our loader look at it as a PV and as a PVH
// guest.
func TestBuild(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("no gcc on this machine; the lab's tests install it")
	}
	cache, err := lab.OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file, err := Build(t.Context(), cache, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	im, err := image.Load(f, info.Size(), image.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	pv, err := im.PV()
	if err != nil {
		t.Fatal(err)
	}
	pvh, err := im.PVH()
	if err != nil {
		t.Fatal(err)
	}
	if pv.VirtBase != 0 || pv.HypercallPage == nil || pvh.Start != pv.Start || pvh.Start != 1<<20 {
		t.Errorf("PV %+v, PVH %+v: want both at 1 MiB of address 0", pv, pvh)
	}
	if size := pvh.End - pvh.Start; size > 256<<10 {
		t.Errorf("the kernel takes %d KiB, which is not mini", size>>10)
	}
}

// TestBuildOnce checks that sources that were compiled are not compiled again.
func TestBuildOnce(t *testing.T) {
	cache, err := lab.OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sum, err := hash()
	if err != nil {
		t.Fatal(err)
	}
	want := cache.Dir() + "/mini/mini-" + sum
	if err := os.Mkdir(cache.Dir()+"/mini", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, []byte("kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Build(t.Context(), cache, nil)
	if err != nil || got != want {
		t.Errorf("Build = %q, %v, want %q", got, err, want)
	}
	if data, err := os.ReadFile(got); err != nil || string(data) != "kernel" {
		t.Errorf("Build changed the kernel in the cache to %d bytes, %v", len(data), err)
	}
}
