package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// registry knows the labs that run on this machine: a directory per lab with
// its sockets, logs and one file that says what it is. A lab is alive as long
// as one of its machines is.
type registry struct{ dir string }

// record is a lab's entry in the registry.
type record struct {
	Name    string       `json:"name"`
	Xen     string       `json:"xen"`
	Image   string       `json:"image"`
	Started time.Time    `json:"started"`
	Owner   process      `json:"owner"` // who started it
	Kept    bool         `json:"kept"`  // meant to outlive its owner
	Hosts   []hostRecord `json:"hosts"`
}

type hostRecord struct {
	Number  int     `json:"number"`
	QEMU    process `json:"qemu"`
	SSHPort int     `json:"ssh_port"`
	Store   string  `json:"xenstored"`
	Xen     string  `json:"xen"`
	Image   string  `json:"image"`
}

// process is a process that cannot be confused with a later one of its number.
type process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // in clock ticks after boot
}

const recordFile = "lab.json"

// openRegistry uses /run/goxl for root, which does not survive a reboot, and
// the cache for everybody else.
func openRegistry(cache *Cache) (*registry, error) {
	dir := filepath.Join(cache.dir, "run")
	if os.Geteuid() == 0 {
		dir = "/run/goxl/labs"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open lab registry: %w", err)
	}
	return &registry{dir}, nil
}

// claim makes the directory of a new lab. An empty name gets a free one.
func (r *registry) claim(name string) (dir, taken string, err error) {
	if strings.ContainsRune(name, filepath.Separator) || strings.HasPrefix(name, ".") {
		return "", "", fmt.Errorf("lab name %q: must be a plain file name", name)
	}
	for i := 1; ; i++ {
		taken = name
		if name == "" {
			taken = fmt.Sprintf("lab%d", i)
		}
		dir = filepath.Join(r.dir, taken)
		err = os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrExist) && r.prune(taken) {
			err = os.Mkdir(dir, 0o755)
		}
		switch {
		case err == nil:
			// Claimed until the owner dies, even before a machine runs.
			return dir, taken, r.save(record{Name: taken, Owner: self(), Started: time.Now()})
		case !errors.Is(err, fs.ErrExist):
			return "", "", fmt.Errorf("register lab: %w", err)
		case name != "":
			return "", "", fmt.Errorf("lab %s: %w: end it with \"xenlab down %s\"", name, fs.ErrExist, name)
		}
	}
}

// save writes a lab's record so that readers see the old or the new one.
func (r *registry) save(rec record) error {
	data, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(r.dir, rec.Name, recordFile)
	if err := os.WriteFile(file+".new", append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("register lab: %w", err)
	}
	return os.Rename(file+".new", file)
}

func (r *registry) load(name string) (record, error) {
	var rec record
	data, err := os.ReadFile(filepath.Join(r.dir, name, recordFile))
	if err != nil {
		return rec, fmt.Errorf("lab %s: %w", name, err)
	}
	if err := json.Unmarshal(data, &rec); err != nil {
		return rec, fmt.Errorf("lab %s: read its record: %w", name, err)
	}
	return rec, nil
}

// list returns the labs that are alive, by name, and forgets the others.
func (r *registry) list() ([]record, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	var labs []record
	for _, entry := range entries {
		if r.prune(entry.Name()) {
			continue
		}
		if rec, err := r.load(entry.Name()); err == nil {
			labs = append(labs, rec)
		}
	}
	slices.SortFunc(labs, func(a, b record) int { return strings.Compare(a.Name, b.Name) })
	return labs, nil
}

// prune forgets a lab that nothing of is left, and reports whether it did.
func (r *registry) prune(name string) bool {
	rec, err := r.load(name)
	if err != nil {
		// A claim makes the directory first: give its owner time for the record.
		info, err := os.Stat(filepath.Join(r.dir, name))
		if err != nil || time.Since(info.ModTime()) < 10*time.Second {
			return false
		}
	}
	if rec.alive() {
		return false
	}
	return os.RemoveAll(filepath.Join(r.dir, name)) == nil
}

func (rec record) alive() bool {
	for _, h := range rec.Hosts {
		if h.QEMU.alive() {
			return true
		}
	}
	return !rec.Kept && rec.Owner.alive()
}

// end kills the lab's machines, waits until they are gone and forgets the lab.
func (r *registry) end(rec record) error {
	for _, h := range rec.Hosts {
		if !h.QEMU.alive() {
			continue
		}
		if err := syscall.Kill(h.QEMU.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end host %d of lab %s: %w", h.Number, rec.Name, err)
		}
	}
	for _, h := range rec.Hosts {
		for tries := 0; h.QEMU.alive(); tries++ {
			if tries == 500 {
				return fmt.Errorf("end host %d of lab %s: process %d is still there 10 s after SIGKILL", h.Number, rec.Name, h.QEMU.PID)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return os.RemoveAll(filepath.Join(r.dir, rec.Name))
}

func self() process { return processOf(os.Getpid()) }

func processOf(pid int) process { return process{pid, startOf(pid)} }

func (p process) alive() bool {
	start := startOf(p.PID)
	return start != "" && start == p.Start
}

// startOf reads when a process started, empty when there is none or when only
// its parent still has to take notice of its end.
func startOf(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold anything: what counts follows the last ")".
	text := string(data)
	fields := strings.Fields(text[strings.LastIndex(text, ")")+1:])
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}
