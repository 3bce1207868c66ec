package disk

import (
	"context"
	"fmt"
)

// Open opens the disk at path, which is the operator's choice and never a guest's.
// The context bounds the opening only.
func Open(ctx context.Context, path string, o Options) (Disk, Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, Info{}, err
	}
	switch o.Format {
	case Raw:
		return openRaw(path, o)
	case QCOW2:
		return openQCOW2(path, o)
	case VHD:
		return openVHDOrVHDX(path, o)
	case VHDX:
		return openVHDX(path, o)
	case NBD:
		return openNBD(ctx, path, o)
	case "":
		return nil, Info{}, fmt.Errorf("open disk %s: no format given: say which of %v it is", path, formats)
	}
	return nil, Info{}, fmt.Errorf("open disk %s: unknown format %q: not one of %v", path, o.Format, formats)
}
