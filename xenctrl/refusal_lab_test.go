package xenctrl_test

import "testing"

func TestLabRefusals(t *testing.T) {
	h := openXen(t)
	f := fixture{pv: newPV(t, h), pvh: newPVH(t, h)}
	f.page = onePage(t, h, f.pv)
	refuse(t, h, f)
}
