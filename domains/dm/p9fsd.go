package dm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"goxl/domains/logs"
)

// p9fsdPath is where xen-9pfsd tells of itself.
const p9fsdPath = "/local/domain/0/libxl/xen-9pfs"

// p9fsdDirs are where distributions and Xen's own build put it.
var p9fsdDirs = []string{"/usr/lib/xen-*/bin", "/usr/lib/xen/bin", "/usr/libexec/xen/bin", "/usr/local/lib/xen/bin"}

// StartP9FSD makes sure that xen-9pfsd runs, the daemon that serves 9pfs devices
// without a QEMU. One serves all guests, and nobody ends it. Since Xen 4.19.
func (m *Models) StartP9FSD(ctx context.Context) error {
	there, err := m.Store.Exists(ctx, p9fsdPath+"/state")
	if err != nil || there {
		return err
	}
	binary, err := findP9FSD()
	if err != nil {
		return err
	}
	log, err := m.Host.OpenLog("xen-9pfsd")
	if err != nil {
		return err
	}
	defer log.Close()
	p, err := startProcess(m.Host, binary, nil, nil, log)
	if err != nil {
		return err
	}
	if err := m.Store.Write(ctx, p9fsdPath+"/pid", strconv.Itoa(p.pid)); err != nil {
		return errors.Join(err, m.killNow(p.pid))
	}
	if err := m.awaitNode(ctx, p9fsdPath+"/state", p); err != nil {
		return errors.Join(fmt.Errorf("xen-9pfsd: %w; its log is %s", err, log.Name()), m.killNow(p.pid))
	}
	m.Log.Info("xen-9pfsd started", logs.Int("pid", p.pid))
	return nil
}

func findP9FSD() (string, error) {
	for _, dir := range p9fsdDirs {
		found, _ := filepath.Glob(dir + "/xen-9pfsd") // only a bad pattern fails
		if len(found) > 0 {
			return slices.Max(found), nil
		}
	}
	return "", fmt.Errorf("no xen-9pfsd at %q; it comes with Xen 4.19 and later: %w", p9fsdDirs, os.ErrNotExist)
}
