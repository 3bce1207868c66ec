package backends

import (
	"fmt"
	"strconv"
	"strings"

	"goxl/xenctrl/abi"
)

// ID names a device that this domain serves.
type ID struct {
	Dom abi.DomID // the frontend's domain
	Dev int       // the device's number: a vdev for disks, an index for others
}

// String returns the last two parts of the device's paths.
func (id ID) String() string { return fmt.Sprintf("%d/%d", id.Dom, id.Dev) }

// kindPath is where xenstore has the devices of one kind that domain self serves.
func kindPath(self abi.DomID, kind string) string {
	return fmt.Sprintf("/local/domain/%d/backend/%s", self, kind)
}

// BackPath is the directory of the serving half of a device.
func BackPath(self abi.DomID, kind string, id ID) string {
	return kindPath(self, kind) + "/" + id.String()
}

// FrontPath is the directory of the guest's half, which the guest can write.
func FrontPath(kind string, id ID) string {
	return fmt.Sprintf("/local/domain/%d/device/%s/%d", id.Dom, kind, id.Dev)
}

// parsePath returns which device's serving half a path below base belongs to, or
// false for one above all devices.
func parsePath(base, path string) (ID, bool) {
	rest, ok := strings.CutPrefix(path, base+"/")
	if !ok {
		return ID{}, false
	}
	dom, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return ID{}, false
	}
	dev, _, _ := strings.Cut(rest, "/")
	return parseID(dom, dev)
}

// parseID takes only numbers as they are written to paths, so that two spellings are
// never two devices.
func parseID(dom, dev string) (ID, bool) {
	d, err1 := strconv.ParseUint(dom, 10, 16)
	n, err2 := strconv.ParseUint(dev, 10, 31)
	id := ID{Dom: abi.DomID(d), Dev: int(n)}
	if err1 != nil || err2 != nil || id.Dom >= abi.DomFirstReserved || id.String() != dom+"/"+dev {
		return ID{}, false
	}
	return id, true
}
