package disk

import (
	"fmt"
	"os"
	"strings"

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

// Cookies of the two formats. A VHD ends with its own, whatever else is in it, behind
// what the guest can write. Sources: the VHD specification, 1.0, hard disk footer;
// MS-VHDX, 2.2.1.
const (
	vhdxCookie = "vhdxfile"
	vhdCookie  = "conectix"
	vhdFooter  = 512 // bytes at the end
)

// openVHDOrVHDX opens an image that a configuration calls "vhd": there is no word for the
// newer format in it. What ends as a VHD is one, so that no guest can make its disk
// another image by what it writes to the beginning.
func openVHDOrVHDX(path string, o Options) (Disk, Info, error) {
	newer, err := isVHDX(path)
	if err == nil && newer {
		return openVHDX(path, o)
	}
	return openVHD(path, o) // says what is wrong with the file
}

func isVHDX(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() < vhdFooter || !st.Mode().IsRegular() {
		return false, err
	}
	var first [len(vhdxCookie)]byte
	var last [len(vhdCookie) + 1]byte // the footer of old images has a byte less
	if _, err := f.ReadAt(first[:], 0); err != nil {
		return false, err
	}
	if _, err := f.ReadAt(last[:], st.Size()-vhdFooter); err != nil {
		return false, err
	}
	return string(first[:]) == vhdxCookie && !strings.Contains(string(last[:]), vhdCookie), nil
}
