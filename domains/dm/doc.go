// Package dm runs the QEMU process that serves devices of a PV or PVH guest
// which no kernel driver serves: qdisk images, frame buffers, channels and
// directories shared by 9pfs. It starts, finds and stops the process as libxl
// does, so that either toolstack may do the other's part, and speaks QMP.
//
//	models := dm.New(dm.Options{Store: store, Host: hostResources})
//	err := models.Start(ctx, dm.Config{Dom: dom, UUID: uuid, Name: "web", MaxMem: 512 << 10})
//	…
//	mon, err := models.Dial(ctx, dom, uuid)
//	if err != nil {
//		return err
//	}
//	defer mon.Close()
//	var status struct{ Status string }
//	err = mon.Execute(ctx, "query-status", nil, &status)
//
// Source: tools/libs/light/libxl_dm.c and libxl_qmp.c.
package dm
