package lab

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// aProcess starts something that lives until the test ends it.
func aProcess(t *testing.T) (process, func()) {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	end := func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(end)
	return processOf(cmd.Process.Pid), end
}

func TestRegistryFindsLabLeftBehind(t *testing.T) {
	r := &registry{t.TempDir()}
	_, name, err := r.claim("")
	if err != nil {
		t.Fatal(err)
	}
	machine, end := aProcess(t)
	dead := process{PID: os.Getpid(), Start: "1"} // our number, but not us
	if err := r.save(record{Name: name, Owner: dead, Hosts: []hostRecord{{Number: 1, QEMU: machine}}}); err != nil {
		t.Fatal(err)
	}
	labs, err := r.list()
	if err != nil || len(labs) != 1 || labs[0].Name != "lab1" {
		t.Fatalf("list = %v, %v, want lab1 although its owner is gone", labs, err)
	}
	end()
	if labs, err := r.list(); err != nil || len(labs) != 0 {
		t.Errorf("list = %v, %v after its machine ended", labs, err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of the dead lab: %v", err)
	}
}

func TestRegistryEndsLab(t *testing.T) {
	r := &registry{t.TempDir()}
	_, name, err := r.claim("mine")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.claim("mine"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second claim: %v, want ErrExist", err)
	}
	machine, _ := aProcess(t)
	rec := record{Name: name, Owner: self(), Kept: true, Hosts: []hostRecord{{Number: 1, QEMU: machine}}}
	if err := r.save(rec); err != nil {
		t.Fatal(err)
	}
	if err := r.end(rec); err != nil {
		t.Fatal(err)
	}
	if machine.alive() {
		t.Error("the machine lives on")
	}
}

func TestRegistryRefusesPaths(t *testing.T) {
	r := &registry{t.TempDir()}
	for _, name := range []string{"../x", "a/b", ".hidden"} {
		if _, _, err := r.claim(name); err == nil {
			t.Errorf("claim(%q) went through", name)
		}
	}
}
