package device

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// vdevExtended marks device numbers outside the classic 16 disks of 16
// partitions. Source: public/io/blkif.h and docs/man/xen-vbd-interface.7.
const vdevExtended = 1 << 28

// ParseVDev returns the number of a virtual disk's name, as the guest's block
// driver knows it: xvda is 51712. Names are xvdLETTERS[PART], hdX[PART],
// sdX[PART], dNpM, or the number itself in decimal, octal (0…) or hex (0x…).
func ParseVDev(name string) (int, error) {
	if disk, part, ok := parseD(name); ok {
		return xenVDev(disk, part), nil
	}
	if disk, part, ok := lettered(name, "xvd", 1<<20-1, 255); ok {
		return xenVDev(disk, part), nil
	}
	if n, err := strconv.ParseUint(cNumber(name), 0, 64); err == nil && n <= math.MaxInt32 {
		return int(n), nil
	}
	if disk, part, ok := lettered(name, "hd", 3, 63); ok {
		major := 3
		if disk >= 2 {
			major = 22
		}
		return major<<8 | (disk&1)<<6 | part, nil
	}
	if disk, part, ok := lettered(name, "sd", 15, 15); ok {
		return 8<<8 | disk<<4 | part, nil
	}
	return 0, fmt.Errorf("virtual disk %q: not a name of a disk; use xvda, xvdb1, hda, sda or a number", name)
}

// VDevName is the way back: the xvd name under which a Linux guest shows device
// number id. It gives an xvd name for the hd and sd numbers too.
func VDevName(id int) string {
	minor, parts := id&0xff, 16
	if id&vdevExtended != 0 {
		minor, parts = id&^vdevExtended, 256
	}
	name := "xvd" + diskLetters(minor/parts)
	if p := minor % parts; p != 0 {
		name += strconv.Itoa(p)
	}
	return name
}

func xenVDev(disk, part int) int {
	if disk <= 15 && part <= 15 {
		return 202<<8 | disk<<4 | part
	}
	return vdevExtended | disk<<8 | part
}

// parseD reads "dNpM".
func parseD(name string) (disk, part int, ok bool) {
	rest, ok := strings.CutPrefix(name, "d")
	if !ok {
		return 0, 0, false
	}
	n, m, ok := strings.Cut(rest, "p")
	if !ok {
		return 0, 0, false
	}
	d, err1 := strconv.ParseUint(cNumber(n), 0, 31)
	p, err2 := strconv.ParseUint(cNumber(m), 0, 31)
	if err1 != nil || err2 != nil || d >= 1<<20 || p >= 256 {
		return 0, 0, false
	}
	return int(d), int(p), true
}

// cNumber keeps Go's own spellings (0b, 0o, underscores) from being numbers.
func cNumber(s string) string {
	if strings.ContainsAny(s, "_oO") || strings.HasPrefix(s, "0b") || strings.HasPrefix(s, "0B") {
		return ""
	}
	return s
}

// lettered reads PREFIX, letters in bijective base 26, and a partition number.
func lettered(name, prefix string, maxDisk, maxPart int) (disk, part int, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, 0, false
	}
	disk = -1
	for rest != "" && rest[0] >= 'a' && rest[0] <= 'z' {
		disk = (disk+1)*26 + int(rest[0]-'a')
		if disk > maxDisk {
			return 0, 0, false
		}
		rest = rest[1:]
	}
	if disk < 0 {
		return 0, 0, false
	}
	if rest == "" {
		return disk, 0, true
	}
	p, err := strconv.ParseUint(rest, 10, 31)
	if err != nil || rest[0] == '0' || int(p) > maxPart {
		return 0, 0, false
	}
	return disk, int(p), true
}

func diskLetters(n int) string {
	if n >= 26 {
		return diskLetters(n/26-1) + string(rune('a'+n%26))
	}
	return string(rune('a' + n))
}
