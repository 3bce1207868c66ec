// Package supervise follows guests to their end and does what their configuration
// says for that moment: on_poweroff, on_reboot, on_crash, on_watchdog and
// on_soft_reset.
//
// One process per host does it for all guests. Whoever creates a guest registers
// it, which starts that process when there is none:
//
//	rec, err := supervise.NewRecord(ctx, m, id)
//	if err != nil {
//		return err
//	}
//	return supervise.Register(ctx, "/run/goxl", rec, func() error {
//		return supervise.Spawn(exe, []string{"supervise"}, log)
//	})
//
// and the process itself is
//
//	return supervise.Run(ctx, supervise.Options{Manager: m, Dir: "/run/goxl"})
//
// It ends when no guest needs it. What it knows stands in one file per guest, so
// that it can be killed at any moment and started again without losing a guest,
// not even one that is being rebuilt. It acts on registered guests only: those of
// the genuine xl have a process of their own.
//
// Each guest's log is /var/log/xen/xl-NAME.log, with the lines that the genuine
// xl writes there.
package supervise
