package policy

import "goxl/xenctrl/abi"

// Memory is what decides how much free memory a guest needs to be created.
type Memory struct {
	Target    abi.KiB
	Paging    abi.KiB // pool for its page tables; see PagingMemory
	IOMMU     abi.KiB // see IOMMUMemory
	Container bool    // PVH or HVM
}

// MaxMemSlack is what a domain's limit lies above its target, for the pages of
// the toolstack. Source: LIBXL_MAXMEM_CONSTANT.
const MaxMemSlack abi.KiB = 1024

// What a domain costs besides its memory. Source: LIBXL_HVM_EXTRA_MEMORY,
// LIBXL_PV_EXTRA_MEMORY.
const (
	containerExtra abi.KiB = 2048
	pvExtra        abi.KiB = 1024
	superpage      abi.KiB = 2048
)

// NeedMemory returns how much free memory the host must have for the guest, a
// whole number of 2 MiB pages. Source: libxl__domain_need_memory_calculate.
func NeedMemory(m Memory) abi.KiB {
	need := m.Target + m.Paging + m.IOMMU + pvExtra
	if m.Container {
		need += containerExtra - pvExtra
	}
	return (need + superpage - 1) / superpage * superpage
}

// PagingMemory returns the size of the pool for a guest's own page tables: per
// vcpu 1 MiB, per MiB of memory a page for the physical-to-machine map and one
// for shadow page tables. Before 4.17 Xen's tools counted both for every guest.
// Source: libxl__get_required_paging_memory.
func PagingMemory(v abi.Version, maxMem abi.KiB, vcpus int, container, hap bool) abi.KiB {
	perMiB := abi.KiB(0)
	if container || !v.AtLeast(4, 17) {
		perMiB++
	}
	if !hap || !v.AtLeast(4, 17) {
		perMiB++
	}
	return 4 * (256*abi.KiB(vcpus) + perMiB*(maxMem/1024))
}

// IOMMUMemory returns what page tables of an IOMMU take that are kept apart
// from the processors' (passthrough="sync_pt"): four levels of 512 entries.
// Source: libxl__get_required_iommu_memory.
func IOMMUMemory(maxMem abi.KiB) abi.KiB {
	pages, n := abi.KiB(0), maxMem/4
	for range 4 {
		n = (n + 511) / 512
		pages += n
	}
	return pages * 4
}

// Balloon returns by how much dom0 has to shrink so that need fits, given the
// free memory: 0 when it fits already. Source: xl's freemem.
func Balloon(free, need abi.KiB) abi.KiB {
	if free >= need {
		return 0
	}
	return need - free
}

// MinDom0 is what dom0 is never shrunk below. Source: LIBXL_MIN_DOM0_MEM.
const MinDom0 abi.KiB = 128 << 10
