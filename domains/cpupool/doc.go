// Package cpupool names, makes and changes Xen's CPU pools. A pool is a set of
// CPUs with a scheduler of its own; every domain runs in one. Xen knows pools by
// number, the toolstack notes their names in xenstore below /local/pool, as libxl
// does (tools/libs/light/libxl_cpupool.c), so that both see the same pools.
//
//	pools := cpupool.New(xen, store)
//	id, err := pools.Create(ctx, cpupool.Spec{Name: "fast", Sched: abi.SchedCredit2, CPUs: []int{4, 5}})
//	…
//	err = pools.AddCPUs(ctx, id, []int{6})
package cpupool
