package main

import (
	"context"
	"errors"
	"os"
	"strconv"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// infoCommand is "xl info [-n] [-x] [name]"; -x is there since 4.21.
func infoCommand(a *app) *command {
	var numa, store bool
	table := optionTable{"n", []longOption{{"numa", false, 'n'}}}
	if a.release >= 21 {
		table = optionTable{"nx", append(table.longs, longOption{"xenstore", false, 'x'})}
	}
	return a.new("info", body{
		table: table,
		opt: func(letter byte, _ string) error {
			numa = numa || letter == 'n'
			store = store || letter == 'x'
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			h, err := a.host.domains.HostInfo(ctx)
			if err != nil {
				return a.ignored(failf(err, "libxl_physinfo failed."))
			}
			var t *topologyInfo
			if numa {
				if t, err = a.topology(); err != nil {
					return a.ignored(failf(err, "libxl_get_cpu_topology failed."))
				}
			}
			text := infoText(a.release, h, t, a.features(ctx, store))
			if !numa && len(args) > 0 {
				text = infoLines(text, args[0])
			}
			a.out.WriteString(text)
			return nil
		},
	})
}

// features asks xenstore for its features, if they are wanted. A store that does
// not know the question has none.
func (a *app) features(ctx context.Context, wanted bool) *xenstore.Features {
	if !wanted {
		return nil
	}
	f, err := a.host.store.Features(ctx)
	if err != nil {
		f = 0
	}
	return &f
}

// topology asks Xen where CPUs, PCI devices and memory are.
func (a *app) topology() (*topologyInfo, error) {
	xen := a.host.xen
	cpus, err := xen.CPUTopology()
	if err != nil {
		return nil, err
	}
	numa, err := xen.NUMAInfo()
	if err != nil {
		return nil, err
	}
	t := &topologyInfo{cpus: cpus}
	n := len(numa.Nodes)
	for i, m := range numa.Nodes {
		t.nodes = append(t.nodes, nodeInfo{m, numa.Distance[i*n : (i+1)*n]})
	}
	devices, err := pciDevices("/sys/bus/pci/devices")
	if err != nil {
		return nil, err
	}
	nodes, err := xen.PCITopology(devices)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	for i, n := range nodes {
		t.devices = append(t.devices, deviceNode{devices[i], n, n != abi.InvalidNode && n != abi.InvalidDevice})
	}
	return t, nil
}

// pciDevices lists the PCI functions of the host, in the order of the directory.
func pciDevices(dir string) ([]abi.PCIDevice, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var list []abi.PCIDevice
	for _, name := range names {
		if d, ok := parseBDF(name); ok {
			list = append(list, d)
		}
	}
	return list, nil
}

// parseBDF reads a PCI address as sysfs writes it: 0000:00:1f.2.
func parseBDF(s string) (abi.PCIDevice, bool) {
	if len(s) != len("0000:00:1f.2") || s[4] != ':' || s[7] != ':' || s[10] != '.' {
		return abi.PCIDevice{}, false
	}
	seg, err1 := strconv.ParseUint(s[:4], 16, 16)
	bus, err2 := strconv.ParseUint(s[5:7], 16, 8)
	dev, err3 := strconv.ParseUint(s[8:10], 16, 5)
	fn, err4 := strconv.ParseUint(s[11:], 16, 3)
	ok := errors.Join(err1, err2, err3, err4) == nil
	return abi.PCIDevice{Seg: uint16(seg), Bus: uint8(bus), DevFn: uint8(dev<<3 | fn)}, ok
}
