// Package migrate moves guests: to a file and back, and from host to host.
//
// [Save] writes a guest as the genuine tools do and [Restore] goes on with one
// that either tool saved:
//
//	f, err := os.Create("web1.saved")
//	if err != nil {
//		return err
//	}
//	if err := migrate.Save(ctx, m, id, f, migrate.SaveOptions{}); err != nil {
//		return err // the guest runs on
//	}
//	err = m.Destroy(ctx, id)
//
// Package stream is the format; this package knows where in a guest its contents
// come from and go to.
package migrate
