// Package evtchn binds event channels, the interrupts between domains, and
// waits for them.
//
//	e, err := evtchn.Open()
//	if err != nil {
//		return err
//	}
//	defer e.Close()
//	port, err := e.BindInterdomain(dom, remotePort)
//	…
//	for {
//		p, err := e.Wait(ctx) // p is masked now
//		…
//		e.Unmask(p)
//	}
package evtchn
