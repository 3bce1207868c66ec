package abi

// CompileInfo is who built Xen, when and with what.
type CompileInfo struct{ Compiler, By, Domain, Date string }

// Sizes of xen_version answers. Source: version.h.
const (
	ExtraVersionSize = 16
	CompileInfoSize  = 144
	CapabilitiesSize = 1024
	ChangesetSize    = 64
	CommandLineSize  = 1024
)

// ParseCompileInfo reads struct xen_compile_info.
func ParseCompileInfo(b []byte) CompileInfo {
	return CompileInfo{cstring(b[0:64]), cstring(b[64:80]), cstring(b[80:112]), cstring(b[112:144])}
}

// Feature bits of submap 0. Source: features.h, XENFEAT_*.
const (
	FeatAutoTranslated = 2 // we ourselves run as PVH
)
