package domains

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"goxl/domains/config"
	"goxl/xenctrl/xentest"
)

// TestChannelsWithoutQEMU: where goxl's console daemon serves channels, a guest with
// nothing else for a QEMU gets none, and its channels are left to that daemon. A QEMU
// here would have no fake to play it.
func TestChannelsWithoutQEMU(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	w.host.Consoled = filepath.Join(w.dir, "consoled-lock")
	f, err := os.Create(w.host.Consoled)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err = f.WriteString("channels pty socket\n"); err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := w.spec(config.TypePVH)
	s.Channels = []config.Channel{
		{Name: config.Some("org.example.a"), Connection: config.ChannelPTY},
		{Name: config.Some("org.example.b"), Connection: config.ChannelSocketConn, Socket: &config.ChannelSocket{Path: config.Some("/run/b")}},
	}
	id := w.mustCreate(s, CreateOptions{})
	for node, want := range map[string]string{
		"backend/console/1/1/goxl-server": "consoled", "backend/console/1/2/goxl-server": "consoled",
		"backend/console/1/2/path": "/run/b",
	} {
		if got, err := w.m.store.Read(t.Context(), "/local/domain/0/"+node); got != want {
			t.Errorf("%s is %q, %v, want %q", node, got, err, want)
		}
	}
	for _, dev := range []string{"1", "2"} {
		if got, err := w.m.store.Read(t.Context(), domainPath(id)+"/device/console/"+dev+"/type"); got != "xenconsoled" {
			t.Errorf("channel %s is for %q, %v", dev, got, err)
		}
	}
	list, err := w.m.Channels(t.Context(), id)
	if err != nil || len(list) != 2 || list[1].Channel.Path != "/run/b" {
		t.Errorf("channels: %+v, %v", list, err)
	}
	if left := w.models(); len(left) > 0 {
		t.Errorf("QEMU runs: %v", left)
	}
	os.Remove(w.host.Consoled)
	if err := w.m.Destroy(t.Context(), id); err != nil {
		t.Error(err)
	}
	w.nothingLeft()
}
