// Package host owns the resources of the machine we run on that a guest's life
// needs besides Xen and xenstore: loop devices, network interfaces and bridges,
// hotplug scripts, the lock files shared with the genuine toolstack, its rotated
// logs and its record of recently used domain ids. One kind per file.
//
// Nothing here knows about devices of guests; goxl/domains/device does.
//
//	h := host.New(host.DefaultPaths())
//	lock, err := h.Lock(ctx, filepath.Join(h.Lib, "userdata-l.7."+uuid+".domain-userdata-lock"))
//	if err != nil {
//		return err
//	}
//	defer lock.Unlock()
//
// System calls stand in files named _linux.go. On other systems the functions
// there answer errors.ErrUnsupported.
package host
