package domains

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// Paths are places in the file system that this package needs besides those of
// host.Paths. The zero value means the usual ones of a Linux distribution.
type Paths struct {
	Dump string // core dumps: /var/lib/xen/dump
	// LibExec holds pygrub and xenconsole: /usr/lib/xen-<release>/bin as on
	// Debian, else /usr/libexec/xen/bin or /usr/lib/xen/bin.
	LibExec string
	Own     string // our private run time state: /run/goxl
	State   string // ours, too, and outlives a reboot of the host: /var/lib/goxl
	// KernelCache keeps unpacked kernels: what xl.conf says, else
	// /var/cache/goxl/kernels. "off" does without.
	KernelCache string
}

// orDefault fills in what is empty. Release is Xen's, as in "4.17".
func (p Paths) orDefault(lib, release string) Paths {
	p.Dump = cmp.Or(p.Dump, filepath.Join(lib, "dump"))
	p.Own = cmp.Or(p.Own, "/run/goxl")
	p.State = cmp.Or(p.State, "/var/lib/goxl")
	p.KernelCache = cmp.Or(p.KernelCache, "/var/cache/goxl/kernels")
	if p.LibExec == "" {
		p.LibExec = firstDir("/usr/lib/xen-"+release+"/bin", "/usr/libexec/xen/bin", "/usr/lib/xen/bin")
	}
	return p
}

// firstDir returns the first directory that exists, or the last of the list.
func firstDir(dirs ...string) string {
	for _, d := range dirs {
		if fi, err := os.Stat(d); err == nil && fi.IsDir() {
			return d
		}
	}
	return dirs[len(dirs)-1]
}

// intents is where creations that are under way are noted.
func (m *Manager) intents() string { return filepath.Join(m.paths.Own, "creating") }

// domainPath is a domain's directory in xenstore.
func domainPath(id abi.DomID) string { return fmt.Sprintf("/local/domain/%d", id) }

// libxlPath is the toolstack's private directory of a domain.
func libxlPath(id abi.DomID) string { return fmt.Sprintf("/libxl/%d", id) }

// vmPath is the directory of a guest that survives a change of its domain id.
func vmPath(u abi.UUID) string { return "/vm/" + u.String() }

// parseDomID reads a domain id from a node of xenstore.
func parseDomID(s string) (abi.DomID, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || abi.DomID(n) >= abi.DomFirstReserved {
		return 0, fmt.Errorf("%q is no domain id", s)
	}
	return abi.DomID(n), nil
}

// reuseTimeout is how long a domain id rests before it may name another domain.
func reuseTimeout(getenv func(string) string) time.Duration {
	s := getenv("LIBXL_DOMID_REUSE_TIMEOUT")
	if n := leadingNumber(s); s != "" {
		return time.Duration(n) * time.Second
	}
	return host.DomIDReuse
}
