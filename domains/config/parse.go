package config

import (
	"io"
	"strings"

	"goxl/xenctrl/abi"
)

// Options are what the meaning of a configuration depends on besides its text.
type Options struct {
	Release Release // of the tools to behave like
	Host    Host
	Conf    *Conf // the host's xl.conf; nil is an empty one

	// Overrides are assignments such as `memory=512` from the command line. They
	// count as lines after those of the file.
	Overrides []string

	// Rand is where a UUID comes from if the file has none. If it is nil, the UUID
	// stays zero.
	Rand io.Reader
}

// Host is what the meaning of CPU lists and vnuma depends on.
type Host struct {
	MaxCPUs    int      // CPU numbers are below this; 0 stands for 1024
	OnlineCPUs int      // 0 stands for MaxCPUs
	MaxNodes   int      // NUMA node numbers are below this; 0 stands for 1
	NodeCPUs   []Bitmap // the CPUs of each node
}

func (h Host) maxCPUs() int {
	if h.MaxCPUs <= 0 {
		return 1024
	}
	return h.MaxCPUs
}

func (h Host) maxNodes() int { return max(h.MaxNodes, 1) }

// Parse reads an xl.cfg file. The name is only used in messages.
//
// The Spec holds what was asked for and nothing more, as `xl -N create` shows it;
// the rest is chosen when the guest is made. The warnings are in the order in which xl
// prints them, also those that led up to an error; among them are our own, for
// keys that have no effect. An error is always an *[Error].
func Parse(name string, src []byte, opts Options) (*Spec, []Warning, error) {
	text := string(src)
	if len(opts.Overrides) > 0 {
		text += "\n" + strings.Join(opts.Overrides, "\n") + "\n\n"
	}
	syntax := parseSyntax(name, text)
	if syntax.failed {
		return nil, nil, syntax.err("Failed to parse config: Invalid argument\n")
	}
	b := &builder{opts: opts, settings: &settings{file: name, byName: syntax.settings}}
	b.conf = opts.Conf
	if b.conf == nil {
		b.conf = DefaultConf()
	}
	b.spec = &Spec{}
	for _, step := range steps {
		if err := step(b); err != nil {
			return nil, b.warnings, b.located(err)
		}
	}
	b.noteUnused(syntax.order)
	return b.spec, b.warnings, nil
}

// err returns what was wrong with the syntax, with xl's closing line.
func (p *parser) err(closing string) *Error {
	problems := p.problems
	if len(problems) == 0 {
		problems = []Problem{{File: p.file, Code: CodeSyntax, Msg: "syntax error"}}
	}
	last := &problems[len(problems)-1]
	last.Text += p.pythonText() + closing
	if p.python && last.Hint == "" {
		last.Hint = "Python code is not understood"
	}
	return &Error{Problems: problems, Exit: 1}
}

// builder turns settings into a Spec.
type builder struct {
	*settings
	opts Options
	conf *Conf
	spec *Spec

	vcpus     int64     // vcpus=
	rdmPolicy RDMPolicy // what a PCI device has if nothing else is said
}

// steps read the keys in the order of xl, which is the order of its messages.
var steps = []func(*builder) error{
	(*builder).labels, (*builder).domainType, (*builder).identity, (*builder).xenstoreLimits,
	(*builder).pvhShim, (*builder).scheduling, (*builder).memory, (*builder).llcColors,
	(*builder).vcpuCount, (*builder).vnuma, (*builder).vcpuLimits, (*builder).affinity,
	(*builder).grants, (*builder).actions, (*builder).pci, (*builder).dtdev,
	(*builder).platform, (*builder).tsc, (*builder).clock, (*builder).boot, (*builder).bootloader,
	(*builder).timer, (*builder).hvmOrKernel, (*builder).altp2m,
	(*builder).ioports, (*builder).irqs, (*builder).iomem,
	(*builder).disks, (*builder).p9s, (*builder).vtpms, (*builder).vdispls, (*builder).pvcalls,
	(*builder).vsnds, (*builder).channels, (*builder).nics, (*builder).vfbs,
	(*builder).usbctrls, (*builder).usbdevs, (*builder).cpuid,
	(*builder).deviceModel, (*builder).display, (*builder).hvmDevices,
	(*builder).arm, (*builder).vkbs, (*builder).virtios, (*builder).x86,
}

// located fills in the place of an error that a step returned.
func (b *builder) located(err error) *Error {
	e, ok := err.(*Error)
	if !ok {
		e = fatal(CodeValue, "%s\n", err)
	}
	for i := range e.Problems {
		p := &e.Problems[i]
		if p.File == "" {
			p.File = b.file
		}
		if p.Line == 0 && b.last != nil && p.Code != CodeMissing {
			p.Line, p.Column = b.last.line, b.last.column
		}
	}
	return e
}

// before reports whether the tools we stand in for are older than a release.
func (b *builder) before(major, minor int) bool { return b.opts.Release.Before(major, minor) }

func (b *builder) labels() error {
	c := &b.spec.CInfo
	b.setText("init_seclabel", &c.SSIDLabel)
	if c.SSIDLabel.IsSet() {
		b.setText("seclabel", &b.spec.BInfo.ExecSSIDLabel)
	} else {
		b.setText("seclabel", &c.SSIDLabel)
	}
	c.RunHotplugScripts = Bool(b.conf.RunHotplugScripts)
	return nil
}

// domainType reads type and its predecessor builder. Both may be cut short.
func (b *builder) domainType() error {
	t := TypeInvalid
	if v, p := b.text("type", loud); p == given {
		switch {
		case strings.HasPrefix("hvm", v):
			t = TypeHVM
		case strings.HasPrefix("pv", v):
			t = TypePV
		case strings.HasPrefix("pvh", v):
			t = TypePVH
		default:
			return fatal(CodeValue, "Invalid domain type %s.\n", v)
		}
	}
	if v, p := b.text("builder", loud); p == given {
		old := TypePV
		switch {
		case strings.HasPrefix("hvm", v):
			old = TypeHVM
		case !strings.HasPrefix("generic", v):
			return fatal(CodeValue, "Invalid domain type %s.\n", v)
		}
		if t != TypeInvalid && t != old {
			return fatal(CodeConflict, "Contradicting \"builder\" and \"type\" options specified.\n")
		}
		t = old
	}
	if t == TypeInvalid {
		t = TypePV
	}
	b.spec.CInfo.Type = t
	return nil
}

func (b *builder) identity() error {
	c := &b.spec.CInfo
	b.setBool("hap", &c.HAP)
	if !b.setText("name", &c.Name) {
		return fatal(CodeMissing, "Domain name must be specified.\n")
	}
	if v, p := b.text("uuid", loud); p == given {
		id, ok := abi.ParseUUID(v)
		if !ok {
			return fatal(CodeValue, "Failed to parse UUID: %s\n", v)
		}
		c.UUID = id
	} else if b.opts.Rand != nil {
		id, err := newUUID(b.opts.Rand)
		if err != nil {
			return fatal(CodeValue, "make a UUID: %s\n", err)
		}
		c.UUID = id
	}
	b.setBool("oos", &c.OOS)
	b.setText("pool", &c.PoolName)
	return nil
}

// newUUID makes a random UUID (version 4).
func newUUID(rand io.Reader) (abi.UUID, error) {
	var id abi.UUID
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return id, err
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}
