package config

import (
	"math"

	"goxl/xenctrl/abi"
)

// optInt returns v, or nothing for the -1 that stands for "default" in C.
func optInt(v int32) Opt[int] {
	if v == -1 {
		return Opt[int]{}
	}
	return Some(int(v))
}

// optUint32 is optInt for unsigned members (LIBXL_MAX_GRANT_DEFAULT, …).
func optUint32(v uint32) Opt[uint32] {
	if v == math.MaxUint32 {
		return Opt[uint32]{}
	}
	return Some(v)
}

// memKB is optInt for LIBXL_MEMKB_DEFAULT.
func memKB(v uint64) MemKB {
	if v == math.MaxUint64 {
		return MemKB{}
	}
	return Some(abi.KiB(v))
}
