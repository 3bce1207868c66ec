// Package domains creates, finds, drives and destroys the guests of a Xen host.
//
// A [Manager] works beside the genuine xl and anything else built on libxl: it
// writes the same xenstore nodes in the same order, the same files, takes the
// same locks, and keeps no state of its own about guests. What one toolstack made
// the other can drive and take down.
//
//	m, err := domains.Open(ctx, domains.Options{})
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	id, err := m.Find(ctx, "web1")
//	if err != nil {
//		return err
//	}
//	return m.Shutdown(ctx, id, domains.AskPoweroff)
//
// Errors are [*Error] values: they say what was tried, on what and why not, and
// carry a stable [Code].
package domains
