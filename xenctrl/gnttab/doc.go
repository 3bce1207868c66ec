// Package gnttab maps memory that other domains granted, copies from and to it,
// and grants memory of our own.
//
//	g, err := gnttab.Open()
//	if err != nil {
//		return err
//	}
//	defer g.Close()
//	m, err := g.Map(dom, []gnttab.GrantRef{ref}, gnttab.ReadWrite)
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	err = m.With(func(b []byte) error { … })
package gnttab
