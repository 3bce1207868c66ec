// Package build turns an empty domain into a guest that is ready to run: its
// limits and CPU policy, memory, kernel and ramdisk, page tables or start info,
// event channels, grants and the first vcpu's registers.
//
// The domain exists and is paused; [Run] leaves it paused:
//
//	res, err := build.Run(ctx, h, dom, build.Params{
//		Kind: build.PVH, Image: kernel, CmdLine: "console=hvc0",
//		MaxMem: 256 << 10, Target: 256 << 10, VCPUs: 1,
//	})
//	if err != nil {
//		return err // the caller destroys the domain
//	}
//	// tell xenstored: res.Store.Frame, res.Store.Port
//
// What is written where follows Xen's own tools, since guests have come to rely
// on it; the sources are named beside each layout. Nothing of the guest stays
// mapped after Run.
package build
