package domains

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// Supervision is package supervise, as far as the fault walk needs it: registering a
// guest, and running the supervisor. An external test sets it.
var Supervision struct {
	Register func(ctx context.Context, m *Manager, dir string, id abi.DomID) error
	Run      func(ctx context.Context, m *Manager, dir string) error
}

// care is a supervisor at work, in a process of its own, and the guest of a walk
// that it looks after.
type care struct {
	ended chan error // what it returned
	stop  func()     // ends it and its process
	shape []string   // of the guest, in its first life
}

// supervised makes a guest that is built again when it asks for a reboot, with a
// supervisor that waits for that.
func (w *walk) supervised() abi.DomID {
	s := w.fullSpec(w.kind, false)
	s.OnReboot = config.ActionRestart
	id := w.mustCreate(s, CreateOptions{})
	w.must(Supervision.Register(w.Context(), w.m, w.m.Paths().Own, id))
	m, exit := w.process()
	ctx, cancel := context.WithCancel(w.Context())
	c := &care{ended: make(chan error, 1), shape: w.shape(id)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.ended <- Supervision.Run(ctx, m, m.Paths().Own)
	}()
	c.stop = func() {
		cancel()
		<-done
		exit()
	}
	w.care = c
	w.awaitLife(id)
	return id
}

// reboot lets the guest ask for a reboot and follows what its supervisor does. The
// error is what the guest's log says when it was not built again.
func reboot(_ context.Context, _ *Manager, w *walk, id abi.DomID) error {
	defer w.care.stop()
	w.xen.Shutdown(id, abi.ShutdownReason(Reboot))
	w.srv.Shutdown(id)
	if w.awaitLife(id + 1) {
		return nil
	}
	w.Logf("gone: %s", w.troubles())
	return errors.New(w.troubles())
}

// awaitLife waits until the supervisor looks after the guest in domain id or a later
// one, and reports false when it has ended instead.
func (w *walk) awaitLife(id abi.DomID) bool {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		for _, line := range w.guestLog() {
			var dom abi.DomID
			if n, _ := fmt.Sscanf(line, "Waiting for domain guest (domid %d)", &dom); n == 1 && dom >= id {
				return true
			}
		}
		select {
		case err := <-w.care.ended:
			w.must(err)
			return false
		default:
		}
		if time.Now().After(end) {
			w.Fatalf("neither built again nor let go; its log:\n%s", strings.Join(w.guestLog(), "\n"))
		}
	}
}

func (w *walk) guestLog() []string {
	b, err := os.ReadFile(filepath.Join(w.dir, "log", "xl-guest.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.Error(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

var usual = regexp.MustCompile(`^(Waiting for domain guest|Domain \d+ (has shut down|needs to be cleaned up)|Action for shutdown|Done\.|trying again)`)

// troubles are the lines of the guest's log that are not there when all goes well.
func (w *walk) troubles() string {
	return strings.Join(slices.DeleteFunc(w.guestLog(), usual.MatchString), "\n")
}

// letGo checks that the guest runs anew, with all that it had, and ends the care for
// it.
func (w *walk) letGo(old abi.DomID) {
	ids := slices.DeleteFunc(w.xen.IDs(), func(id abi.DomID) bool { return id == backendDom })
	if len(ids) != 1 || ids[0] == old {
		w.Fatalf("domains %v are there after domain %d", ids, old)
	}
	if d, err := w.m.Info(w.Context(), ids[0]); err != nil || d.Paused || d.Shutdown || d.Name != "guest" {
		w.Errorf("the new domain: %+v, %v", d, err)
	}
	if diff := gocmp.Diff(w.care.shape, w.shape(ids[0])); diff != "" {
		w.Errorf("it is not what it was (-before +after):\n%s", diff)
	}
	w.dropNote()
	w.must(w.m.host.RemoveAll(filepath.Join(w.m.Paths().Own, "guests")))
}

// shape is what there is of guest id, its id left out.
func (w *walk) shape(id abi.DomID) (s []string) {
	nodes := regexp.MustCompile(fmt.Sprintf(`^(/local/domain|/libxl|/local/domain/\d+/backend/\w+)/%d(/|$)`, id))
	for _, path := range w.srv.Paths() {
		s = append(s, nodes.ReplaceAllString(path, "$1/N$2"))
	}
	slices.Sort(s)
	s = append(s, fmt.Sprintf("%d loop devices", len(w.kern.Loops())))
	for _, link := range w.kern.LinkNames() {
		s = append(s, strings.Replace(link, fmt.Sprintf("vif%d.", id), "vifN.", 1))
	}
	files, err := filepath.Glob(filepath.Join(w.dir, fmt.Sprintf("userdata-d.%d.*", id)))
	w.must(err)
	return append(s, fmt.Sprintf("%d files", len(files)))
}
