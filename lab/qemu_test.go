package lab

import (
	"slices"
	"strings"
	"testing"
)

func TestMachineArguments(t *testing.T) {
	m := &machine{
		image: &Image{Xen417, "/cache/a,b"}, number: 2, name: "x", dir: "/run/x",
		cpus: 2, memMiB: 4096, dom0MiB: 1024, store: "xenstored", sshPort: 2222,
		segment: chain(2, 2, []int{7000}), payload: "/tmp/p.img",
	}
	line := strings.Join(m.args(), " ")
	for _, want := range []string{
		"-kernel /cache/a,b/xen", // its own argument: no commas to double
		"-initrd /cache/a,,b/vmlinuz console=hvc0", "goxl.host=2 goxl.xenstored=xenstored,/cache/a,,b/initrd.img",
		"dom0_mem=1024M,max:1024M dom0_max_vcpus=2", "snapshot=on,file=/cache/a,,b/root.img",
		"hostfwd=tcp:127.0.0.1:2222-:22", "socket,connect=127.0.0.1:7000,id=seg0",
		"mac=52:54:00:47:02:01", "readonly=on,file=/tmp/p.img", "-accel tcg",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
	m.kvm = true
	if line := strings.Join(m.args(), " "); !strings.Contains(line, "-accel kvm -cpu host") {
		t.Errorf("under KVM: %s", line)
	}
}

func TestChainJoinsNeighbours(t *testing.T) {
	ports := []int{7001, 7002}
	for host, want := range map[int][]string{
		1: {"socket,listen=127.0.0.1:7001"},
		2: {"socket,connect=127.0.0.1:7001", "socket,listen=127.0.0.1:7002"},
		3: {"socket,connect=127.0.0.1:7002"},
	} {
		if got := chain(host, 3, ports); !slices.Equal(got, want) {
			t.Errorf("chain of host %d = %v, want %v", host, got, want)
		}
	}
	if got := chain(1, 1, nil); got != nil {
		t.Errorf("a single host has segments: %v", got)
	}
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := freePorts(8)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 8 {
		t.Errorf("freePorts(8) = %v", ports)
	}
}
