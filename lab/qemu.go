package lab

import (
	"fmt"
	"path/filepath"
	"strings"
)

// machine is what one host's QEMU is told.
type machine struct {
	image   *Image
	qemu    emulator
	number  int // of the host in its lab, from 1
	name    string
	dir     string // where sockets and the console's log go
	cpus    int
	memMiB  int
	dom0MiB int
	store   string // xenstore daemon
	kvm     bool
	sshPort int
	segment []string // -netdev arguments of eth1, eth2: see chain
	payload string   // image of a second, read-only disk; empty: none
	xenArgs string   // more of Xen's command line
}

// emulatedCPU is the model under which PV, PVH and HVM guests all boot with
// software emulation. "max" kills dom0 early, and with rdtscp TCG reports an
// SVM exit that Xen does not accept, so that HVM and PVH guests spin.
const emulatedCPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+svm,+npt"

// emulation is on one thread for all processors of a host, which take turns. On a
// thread each, QEMU's SVM now and then saves Xen's registers as the guest's, and a
// PVH guest is reset (seen with QEMU 7.2: twice in three minutes; not once in an
// hour on one thread). And hosts side by side then wait for locks whose holder does
// not run: two took three times as long. A host alone loses a tenth.
const emulation = "tcg,tb-size=512,thread=single"

func (m *machine) consoleSocket() string {
	return filepath.Join(m.dir, fmt.Sprintf("console%d.sock", m.number))
}
func (m *machine) consoleLog() string {
	return filepath.Join(m.dir, fmt.Sprintf("console%d.log", m.number))
}

// args returns QEMU's command line.
func (m *machine) args() []string {
	accel, cpu := emulation, emulatedCPU
	if m.kvm {
		accel, cpu = "kvm", "host"
	}
	xen := fmt.Sprintf("console=com1 com1=115200,8n1 dom0_mem=%dM,max:%dM dom0_max_vcpus=%d loglvl=all guest_loglvl=all noreboot conring_size=1M %s",
		m.dom0MiB, m.dom0MiB, m.cpus, m.xenArgs)
	dom0 := fmt.Sprintf("%s console=hvc0 net.ifnames=0 quiet goxl.host=%d goxl.xenstored=%s",
		m.image.Kernel(), m.number, m.store)
	args := []string{
		"-name", fmt.Sprintf("goxl-lab-%s-%d", m.name, m.number),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-accel", accel, "-cpu", cpu, "-smp", fmt.Sprint(m.cpus), "-m", fmt.Sprintf("%dM", m.memMiB),
		"-kernel", m.image.Xen(), "-append", strings.TrimSpace(xen),
		"-initrd", comma(dom0) + "," + comma(m.image.Initramfs()),
		"-chardev", "socket,id=con,path=" + comma(m.consoleSocket()) + ",server=on,wait=on,logfile=" + comma(m.consoleLog()),
		"-serial", "chardev:con",
		"-drive", "if=none,id=root,format=raw,cache=unsafe,snapshot=on,file=" + comma(m.image.Root()),
		"-device", "virtio-blk-pci,drive=root",
		"-device", "virtio-rng-pci",
		"-netdev", fmt.Sprintf("user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:%d-:22", m.sshPort),
		"-device", "virtio-net-pci,netdev=ssh,romfile=",
	}
	if m.payload != "" {
		args = append(args,
			"-drive", "if=none,id=payload,format=raw,readonly=on,file="+comma(m.payload),
			"-device", "virtio-blk-pci,drive=payload")
	}
	for i, netdev := range m.segment {
		id := fmt.Sprintf("seg%d", i)
		args = append(args,
			"-netdev", netdev+",id="+id,
			"-device", fmt.Sprintf("virtio-net-pci,netdev=%s,romfile=,mac=52:54:00:47:%02x:%02x", id, m.number, i+1))
	}
	return args
}

// comma doubles commas, which separate QEMU's options.
func comma(s string) string { return strings.ReplaceAll(s, ",", ",,") }
