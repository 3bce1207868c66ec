// Package backtest is a host in memory for tests of backends: guests whose pages a
// backend maps a second time, so that the race detector sees the backend's races
// only, event channels, and a xenstore with the permissions of a real one. Guests
// may do all that real ones can, and a backend that keeps anything of them after its
// end fails the test.
//
//	m := backtest.New(t)
//	g := m.Guest(7)
//	page := g.Page()              // granted to the backend
//	port := g.Port()              // for the backend to bind
//	m.AddDevice("qdisk", "vbd", backends.ID{Dom: 7, Dev: 51712}, …)
//	g.Write("device/vbd/51712/state", "3")
package backtest
