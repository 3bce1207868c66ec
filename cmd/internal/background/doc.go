// Package background has a daemon go into the background by starting its program once
// more: a Go process cannot fork.
//
//	if !background.Is() {
//		return background.Start(nil) // ends when the other serves, or tells why it does not
//	}
//	err := serve(func() { background.Report(nil) })
//	background.Report(err)
package background
