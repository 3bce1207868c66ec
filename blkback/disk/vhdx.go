package disk

import (
	"fmt"

	"goxl/blkback/disk/vhdx"
)

func openVHDX(path string, o Options) (Disk, Info, error) {
	o.stable = true
	f, err := openFile(path, o)
	if err != nil {
		return nil, Info{}, err
	}
	im, err := vhdx.Open(f, f.Size())
	if err != nil {
		f.Close()
		return nil, Info{}, fmt.Errorf("open VHDX image %s: %w", path, err)
	}
	d, info, err := readOnlyDisk(VHDX, im, f, o)
	if err != nil {
		f.Close()
		return nil, Info{}, fmt.Errorf("open VHDX image %s: %w", path, err)
	}
	info.SectorSize = im.SectorSize()
	return d, info, nil
}
