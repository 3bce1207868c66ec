// Package console serves the consoles of guests: it moves what a guest prints from
// the ring that it shares with us to a pseudo terminal, a log file and a record of
// its last words, and what is typed on the terminal to the guest.
//
//	h, err := console.OpenHost(log)
//	if err != nil {
//		return err
//	}
//	defer h.Close()
//	d := console.New(store, h, console.Options{LogDir: "/var/log/xen/console", GuestLogs: true})
//	return d.Run(ctx, nil) // until ctx ends
//
// It takes the place of Xen's xenconsoled and keeps its conventions: the nodes below
// /local/domain/D/console, log files called guest-NAME.log and hypervisor.log, 30
// events of a guest in 200 ms.
//
// A guest writes to its page and its indices whenever it likes. What comes from
// there is copied once and bounded before it is used, and what is wrong harms the
// guest's own console only.
//
// Sources: xen/include/public/io/console.h, docs/misc/console.txt,
// docs/misc/xenstore-paths.pandoc.
package console
