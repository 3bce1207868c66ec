package build

import (
	"fmt"
	"strings"

	"goxl/domains/build/acpi"
	"goxl/domains/policy"
	"goxl/xenctrl/abi"
)

// complete fills in what was left out and refuses what makes no sense, before
// anything is done.
func (p *Params) complete(v abi.Version) error {
	if p.MaxMem == 0 {
		p.MaxMem = p.Target
	}
	if p.Kind == PVH && p.Paging == 0 {
		p.Paging = policy.PagingMemory(v, p.MaxMem, p.VCPUs, true, true)
	}
	switch {
	case p.Image == nil && p.Source == nil:
		return fmt.Errorf("no kernel")
	case p.Target == 0:
		return fmt.Errorf("no memory")
	case p.MaxMem < p.Target:
		return fmt.Errorf("memory %d KiB is more than the maximum of %d KiB", p.Target, p.MaxMem)
	case p.VCPUs < 1:
		return fmt.Errorf("%d vcpus", p.VCPUs)
	case p.Kind == PVH && p.VCPUs > acpi.MaxVCPUs:
		return fmt.Errorf("%d vcpus: a PVH guest has at most %d", p.VCPUs, acpi.MaxVCPUs)
	case p.Kind == PV && len(p.Modules) > 1:
		return fmt.Errorf("%d modules: a PV guest takes one, its ramdisk", len(p.Modules))
	case len(p.Modules) > hvmMaxModules:
		return fmt.Errorf("%d modules: at most %d are handed over", len(p.Modules), hvmMaxModules)
	case p.Kind == PV && len(p.CmdLine) >= maxCmdLine:
		return fmt.Errorf("kernel command line of %d bytes: a PV guest is given at most %d", len(p.CmdLine), maxCmdLine-1)
	}
	return p.completeModules()
}

func (p *Params) completeModules() error {
	for i, m := range p.Modules {
		if m.Size < 0 || m.Data == nil {
			return fmt.Errorf("module %d has no data", i)
		}
		if len(m.CmdLine) >= hvmModuleText {
			return fmt.Errorf("command line of module %d has %d bytes, at most %d are possible", i, len(m.CmdLine), hvmModuleText-1)
		}
	}
	return nil
}

// online reports whether a vcpu starts with the guest.
func (p *Params) online(vcpu int) bool { return p.Online == nil || p.Online.Has(vcpu) }

// hasWord reports whether a list separated by blanks has a word.
func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}
