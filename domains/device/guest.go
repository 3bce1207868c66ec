package device

// GuestType is how a guest runs; /libxl/D/type holds it.
type GuestType string

// The types.
const (
	PV  GuestType = "pv"
	PVH GuestType = "pvh"
	HVM GuestType = "hvm"
)
