package lab

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed files
var files embed.FS

// dom0Modules are what dom0 needs to reach its root disk and its network.
var dom0Modules = []string{"virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "crc32c_generic", "crc32c_cryptoapi", "ext4"}

// guestModules are the frontends that Debian's kernel does not have built in.
var guestModules = []string{"xen-blkfront", "xen-netfront", "9p", "9pnet_xen", "ext4", "crc32c_generic"}

// initramfs builds an uncompressed initramfs of root's static busybox, the
// named modules of its kernel, and the embedded script as /init.
func initramfs(root, script string, modules []string) ([]byte, error) {
	tree, err := openModules(root)
	if err != nil {
		return nil, err
	}
	init, err := files.ReadFile("files/" + script)
	if err != nil {
		return nil, err
	}
	busybox, err := os.ReadFile(filepath.Join(root, "bin/busybox"))
	if err != nil {
		return nil, fmt.Errorf("busybox-static: %w", err)
	}

	var out bytes.Buffer
	a := &archive{w: &out}
	for _, dir := range []string{"dev", "bin", "modules"} {
		a.dir(dir)
	}
	a.char("dev/console", 5, 1)
	a.file("bin/busybox", 0o755, busybox)
	a.file("init", 0o755, init)
	var order []string
	for _, file := range tree.resolve(modules...) {
		data, err := tree.read(file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(path.Base(file), ".xz")
		order = append(order, name)
		a.file("modules/"+name, 0o644, data)
	}
	a.file("modules/order", 0o644, []byte(strings.Join(order, "\n")+"\n"))
	return out.Bytes(), a.Close()
}
