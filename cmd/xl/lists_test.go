package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/domains"
	"goxl/domains/device"
	"goxl/xenctrl/abi"
)

var (
	dom0 = domains.Domain{ID: 0, Name: "Domain-0", Named: true, Running: true,
		Current: 2097152, VCPUsOnline: 2, CPUTime: 123456 * time.Millisecond, MaxVCPU: 1}
	guest = domains.Domain{ID: 12, Name: "web1", Named: true, Blocked: true,
		UUID:    abi.UUID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
		Current: 262143, Outstanding: 1, Shared: 4096, VCPUsOnline: 1, CPUTime: 50 * time.Millisecond}
	crashed = domains.Domain{ID: 13, Paused: true, Shutdown: true, Reason: domains.Crash, Dying: true}
)

func TestListText(t *testing.T) {
	for _, tt := range []struct {
		name string
		cols columns
		row  listRow
		want string
	}{
		{"plain", columns{}, listRow{Domain: dom0},
			"Name                                        ID   Mem VCPUs\tState\tTime(s)\n" +
				"Domain-0                                     0  2048     2     r-----     123.5\n"},
		{"no name, shut down", columns{}, listRow{Domain: crashed},
			"Name                                        ID   Mem VCPUs\tState\tTime(s)\n" +
				"(null)                                      13     0     0     --pscd       0.0\n"},
		{"verbose", columns{verbose: true}, listRow{Domain: guest},
			"Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label\n" +
				"web1                                        12   256     1     -b----       0.1 01234567-89ab-cdef-0123-456789abcdef        -                -\n"},
		{"verbose, reason", columns{verbose: true, context: true}, listRow{Domain: crashed, label: "system_u:x"},
			"Name                                        ID   Mem VCPUs\tState\tTime(s)   UUID                            Reason-Code\tSecurity Label\n" +
				"(null)                                      13     0     0     --pscd       0.0 00000000-0000-0000-0000-000000000000        3       system_u:x\n"},
		{"label, pool, nodes", columns{context: true, pool: true, nodes: true},
			listRow{Domain: guest, poolName: "Pool-0", nodes: "all"},
			"Name                                        ID   Mem VCPUs\tState\tTime(s)   Security Label         Cpupool NODE Affinity\n" +
				"web1                                        12   256     1     -b----       0.1                -          Pool-0 all\n"},
		{"claims", columns{claims: true}, listRow{Domain: guest},
			"Name                                        ID   Mem VCPUs\tState\tTime(s)  Claimed\n" +
				"web1                                        12   256     1     -b----       0.1     0\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, listHeader(tt.cols)+listLine(tt.cols, &tt.row)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestStateLetters(t *testing.T) {
	for want, d := range map[string]domains.Domain{
		"------": {Reason: domains.Crash}, // the reason means nothing while it runs
		"---s--": {Shutdown: true}, "---sr-": {Shutdown: true, Reason: domains.Reboot},
		"---ss-": {Shutdown: true, Reason: domains.Suspend}, "---sw-": {Shutdown: true, Reason: domains.Watchdog},
		"---sS-": {Shutdown: true, Reason: domains.SoftReset}, "---s?-": {Shutdown: true, Reason: 6},
		"---s?d": {Shutdown: true, Reason: 255, Dying: true},
	} {
		if got := stateLetters(&d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestOtherLists(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"sharing", sharingHeader + sharingLine(&guest),
			"Name                                        ID   Mem Shared\n" +
				"web1                                        12   256      4\n"},
		{"vm-list", vmListHeader + vmListLine(&guest),
			"UUID                                  ID    name\n" +
				"01234567-89ab-cdef-0123-456789abcdef  12    web1                          \n"},
		{"vcpu-list", vcpuListHeader() +
			vcpuListLine(&guest, &domains.VCPU{Number: 0, CPU: 3, Online: true, Blocked: true, Time: time.Second,
				Hard: abi.FullBitmap(4), Soft: abi.BitmapOf(1, 2)}, 4) +
			vcpuListLine(&guest, &domains.VCPU{Number: 1, Hard: abi.BitmapOf(0, 2), Soft: abi.FullBitmap(4)}, 4),
			"Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)\n" +
				"web1                                12     0    3   -b-       1.0  all / 1-2\n" +
				"web1                                12     1    -   --p       0.0  0,2 / all\n"},
		{"block-list", blockListHeader() +
			blockListLine(&device.Link{Device: device.Device{Dom: 12, Kind: device.VBD, BackendKind: device.VBD, ID: 51712},
				State: 4, EvtChn: 9, RingRef: -1}),
			"Vdev  BE  handle state evt-ch ring-ref BE-path                       \n" +
				"51712 0   12     4     9      -1       /local/domain/0/backend/vbd/12/51712\n"},
		{"network-list", networkListHeader() +
			networkListLine(&device.Link{Device: device.Device{Dom: 12, Kind: device.VIF, BackendKind: device.VIF},
				State: 4, EvtChn: -1, RingRef: 768, RxRef: 769}, device.MAC{0, 0x16, 0x3e, 1, 2, 3}),
			"Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path                       \n" +
				"0   0  00:16:3e:01:02:03     0     4     -1   768/769         /local/domain/0/backend/vif/12/0\n"},
		{"channel-list", channelListHeader() + channelListLine(&device.ChannelInfo{
			Link:    device.Link{Device: device.Device{ID: 1}, State: 4, EvtChn: 3, RingRef: 5},
			Channel: device.Channel{Connection: "pty"}, TTY: "/dev/pts/2"}),
			"Idx BE state evt-ch ring-ref connection                               \n" +
				"0   0  4     3      5        pty        /dev/pts/2                     \n"},
		{"cpupool-list", poolHeader(false) + poolLine("Pool-0", 4, "credit2", 3),
			"Name               CPUs   Sched     Active   Domain count\n" +
				"Pool-0               4   credit2       y          3\n"},
		{"cpupool-list -c", poolHeader(true) + poolCPULine("Pool-0", []int{0, 1, 2, 5}),
			"Name               CPU list\nPool-0             0,1,2,5\n"},
		{"sched-credit", schedPoolLine(abi.SchedCredit, "Pool-0", &abi.PoolSchedParams{TimesliceMS: 30, RatelimitUS: 1000}) +
			schedHeader(abi.SchedCredit) + schedLine(abi.SchedCredit, &guest, abi.SchedParams{Weight: 256}),
			"Cpupool Pool-0: tslice=30ms ratelimit=1000us migration-delay=0us\n" +
				"Name                                ID Weight  Cap\n" +
				"web1                                12    256    0\n"},
		{"sched-credit2", schedPoolLine(abi.SchedCredit2, "Pool-0", &abi.PoolSchedParams{RatelimitUS: 1000}) +
			schedPoolLine(abi.SchedCredit2, "p", nil),
			"Cpupool Pool-0: ratelimit=1000us\nCpupool p: [sched params unavailable]\n"},
		{"sched-rtds", schedHeader(abi.SchedRTDS) + schedLine(abi.SchedRTDS, &guest, abi.SchedParams{Period: 10000, Budget: 4000, Flags: 1}) +
			schedVCPUHeader() + schedVCPULine(&guest, 2, abi.SchedParams{Period: 10000, Budget: 4000}),
			"Name                                ID    Period    Budget  Extratime\n" +
				"web1                                12     10000      4000        yes\n" +
				"Name                                ID VCPU    Period    Budget  Extratime\n" +
				"web1                                12    2     10000      4000         no\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, tt.got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestUptimeText(t *testing.T) {
	now := time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, tt := range []struct {
		up    time.Duration
		short bool
		want  string
	}{
		{59 * time.Second, false, "web1                                12  0:00:59\n"},
		{25*time.Hour + 61*time.Second, false, "web1                                12 1 day,  1:01:01\n"},
		{49*time.Hour + 10*time.Minute, false, "web1                                12 2 days,  1:10:00\n"},
		{time.Hour, true, " 04:05:06 up  1:00, web1 (12)\n"},
		{24 * time.Hour, true, " 04:05:06 up 1 day,  0:00, web1 (12)\n"},
		{240 * time.Hour, true, " 04:05:06 up 10 days,  0:00, web1 (12)\n"},
	} {
		if got := uptimeLine(&guest, tt.up, tt.short, now); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.up, got, tt.want)
		}
	}
}
