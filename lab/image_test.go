package lab

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRecipeHash(t *testing.T) {
	base := recipeOf(Xen417)
	if again := recipeOf(Xen417); again.hash() != base.hash() {
		t.Errorf("the same recipe has the hashes %s and %s", base.hash(), again.hash())
	}
	for name, change := range map[string]func(*recipe){
		"another release": func(r *recipe) { r.release = Xen420 },
		"a package more":  func(r *recipe) { r.packages = append(r.packages, "vim") },
		"a module less":   func(r *recipe) { r.modules = r.modules[1:] },
		"another init":    func(r *recipe) { r.files["labinit.sh"] += "# changed\n" },
		"text between files": func(r *recipe) {
			r.files["dom0boot.sh"], r.files["guestinit.sh"] = r.files["guestinit.sh"], r.files["dom0boot.sh"]
		},
	} {
		changed := recipeOf(Xen417)
		change(&changed)
		if changed.hash() == base.hash() {
			t.Errorf("%s does not change the hash", name)
		}
	}
}

func TestParseRelease(t *testing.T) {
	for _, in := range []string{"4.17", "bookworm"} {
		if r, err := ParseRelease(in); err != nil || r != Xen417 {
			t.Errorf("ParseRelease(%q) = %v, %v", in, r, err)
		}
	}
	if _, err := ParseRelease("4.2"); err == nil || !strings.Contains(err.Error(), "4.20") {
		t.Errorf("ParseRelease(4.2) = %v, want an error that lists what there is", err)
	}
}

func TestCacheFindsImageByRecipe(t *testing.T) {
	c, err := OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if c.Cached(Xen417) {
		t.Fatal("an empty cache has an image")
	}
	if err := os.Mkdir(c.path(Xen417), 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := c.Image(t.Context(), Xen417, nil)
	if err != nil || m.Dir != c.path(Xen417) {
		t.Errorf("Image = %v, %v, want the one in the cache", m, err)
	}
	if c.Cached(Xen414) {
		t.Error("an image of one release serves another")
	}
}

func TestLockWaitsForTheOtherBuilder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, file); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v, want it to wait", err)
	}
	unlock()
	again, err := lock(t.Context(), file)
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	again()
}

func TestMissingPackages(t *testing.T) {
	nothing := func(string) (string, error) { return "", fs.ErrNotExist }
	got := missing([]string{"mke2fs", "qemu-system-x86_64", "mke2fs", "unheard-of"}, nothing)
	if want := []string{"e2fsprogs", "qemu-system-x86"}; !slices.Equal(got, want) {
		t.Errorf("missing = %v, want %v", got, want)
	}
	all := func(name string) (string, error) { return "/bin/" + name, nil }
	if got := missing([]string{"mke2fs"}, all); got != nil {
		t.Errorf("missing = %v on a machine that has everything", got)
	}
}

func TestModulesResolveInLoadOrder(t *testing.T) {
	root := t.TempDir()
	const dep = "kernel/fs/ext4/ext4.ko: kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\n" +
		"kernel/fs/mbcache.ko:\nkernel/fs/jbd2/jbd2.ko:\nkernel/lib/crc16.ko:\n" +
		"kernel/drivers/net/xen-netfront.ko:\n"
	if err := writeFile(filepath.Join(root, "lib/modules/6.1/modules.dep"), []byte(dep), 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := openModules(root)
	if err != nil {
		t.Fatal(err)
	}
	got := tree.resolve("ext4", "xen_netfront", "built_in", "mbcache")
	want := []string{"kernel/lib/crc16.ko", "kernel/fs/jbd2/jbd2.ko", "kernel/fs/mbcache.ko", "kernel/fs/ext4/ext4.ko", "kernel/drivers/net/xen-netfront.ko"}
	if !slices.Equal(got, want) {
		t.Errorf("resolve = %v\nwant %v", got, want)
	}
}

func TestTempDirForgetsOldRuns(t *testing.T) {
	c, err := OpenCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.TempDir()
	if err != nil || first == second {
		t.Fatalf("TempDir = %s and %s, %v", first, second, err)
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(first, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	if _, err := c.TempDir(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of yesterday: %v", err)
	}
	if _, err := os.Stat(second); err != nil {
		t.Errorf("the folder of today: %v", err)
	}
}
