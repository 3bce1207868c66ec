// Package hosttest has a kernel for tests of what works on a host.Host: real files,
// but loop devices and network interfaces in memory, and a hook before each
// request, to count them and to refuse any.
//
//	k := hosttest.New(h.Kernel)
//	h.Kernel = k
//	k.Before = func(call string) error { return nil }
package hosttest
