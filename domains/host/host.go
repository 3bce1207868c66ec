package host

// Paths are the directories that the toolstacks of one host share.
type Paths struct {
	Run      string // sockets, domid-history: /var/run/xen
	Lib      string // guests' userdata and its locks: /var/lib/xen
	Log      string // /var/log/xen
	Scripts  string // hotplug scripts: /etc/xen/scripts
	Hotplug  string // the scripts' own locks: /var/run/xen-hotplug
	XLLock   string // held while memory is freed for a new guest: /var/lock/xl
	Turns    string // held during a transaction of xenstore: /run/goxl/transaction
	Blkback  string // goxl's daemon for disks holds it while it runs: /run/goxl/blkback/lock
	Consoled string // goxl's console daemon holds it: /run/goxl/consoled/lock
	Proc     string // /proc
	Sys      string // /sys
	Dev      string // /dev
}

// DefaultPaths returns the directories that Xen's build and Debian use on Linux.
func DefaultPaths() Paths {
	return Paths{
		Run:      "/var/run/xen",
		Lib:      "/var/lib/xen",
		Log:      "/var/log/xen",
		Scripts:  "/etc/xen/scripts",
		Hotplug:  "/var/run/xen-hotplug",
		XLLock:   "/var/lock/xl",
		Turns:    "/run/goxl/transaction",
		Blkback:  "/run/goxl/blkback/lock",
		Consoled: "/run/goxl/consoled/lock",
		Proc:     "/proc",
		Sys:      "/sys",
		Dev:      "/dev",
	}
}

// Host is this machine. It holds no state besides its paths; all methods are
// safe for concurrent use.
type Host struct {
	Paths
	Kernel // what it is done with; tests put their own here

	trusted map[string]Behaviour // hotplug scripts, by path; see Trust
}

// New returns the host with its shared files at p.
func New(p Paths) *Host { return &Host{Paths: p, Kernel: newKernel()} }
