package config

import "strings"

// setNamed handles "key=val"; whole is the parameter as written. It reports
// whether it knows the key.
func (p *diskParser) setNamed(key, val, whole string) bool {
	d := &p.disk
	switch key {
	case "format":
		p.setFormat(val)
	case "devtype":
		switch val {
		case "cdrom", "disk":
			d.IsCDROM = 0
			if val == "cdrom" {
				d.IsCDROM = 1
			}
		default:
			p.fail(&whole, "unknown value for type")
		}
	case "access":
		p.setAccess(val)
	case "backend":
		p.set("backend", &d.Backend.Name, val)
	case "backendtype":
		p.setBackendType(val)
	case "specification":
		if p.rel.Before(4, 17) {
			return false
		}
		setEnum(p, "specification", &d.Spec, val, val, "unknown", "unknown value for specification")
	case "vdev":
		p.set("vdev", &d.VDev, val)
	case "script":
		p.set("script", &d.Script, val)
	case "colo-host":
		p.set("colo-host", &d.COLO.Host, val)
	case "colo-port":
		if port := atoi(val); port != 0 {
			d.COLO.Port = port
		} else {
			p.fail(&val, "unknown value for colo_port")
		}
	case "colo-export":
		p.set("colo-export", &d.COLO.Export, val)
	case "active-disk":
		p.set("active-disk", &d.COLO.ActiveDisk, val)
	case "hidden-disk":
		p.set("hidden-disk", &d.COLO.HiddenDisk, val)
	default:
		return false
	}
	return true
}

// set keeps a text that must not be there yet, unless it was empty.
func (p *diskParser) set(what string, dst *Opt[string], val string) {
	if dst.Value() != "" {
		p.fail(&val, what+" respecified")
		return
	}
	*dst = Some(val)
}

// setEnum keeps the value with the given text, which must not contradict one
// that is there; near is what an error quotes, except a text that is not taken.
func setEnum[E enum](p *diskParser, what string, dst *E, text, near, except, unknown string) {
	var v E
	if text == except || text != strings.ToLower(text) || !fromText(text, &v) {
		p.fail(&near, unknown)
		return
	}
	if *dst != 0 && *dst != v {
		p.fail(&near, what+" respecified")
		return
	}
	*dst = v
}

func (p *diskParser) setFormat(val string) {
	text := val
	if text == "" {
		text = "raw"
	}
	setEnum(p, "format", &p.disk.Format, text, val, "unknown", "unknown value for format")
}

func (p *diskParser) setBackendType(val string) {
	except := "unknown"
	if p.rel.Before(4, 17) && val == "standalone" {
		except = val
	}
	setEnum(p, "backend", &p.disk.BackendType, val, val, except, "unknown value for backendtype")
}

func (p *diskParser) setAccess(val string) {
	switch val {
	case "r", "ro":
		p.disk.ReadWrite = 0
	case "", "w", "rw":
		p.disk.ReadWrite = 1
	default:
		p.fail(&val, "unknown value for access")
	}
}

// positional handles a parameter by its place: target, format, vdev, access.
func (p *diskParser) positional(s string) bool {
	d := &p.disk
	switch {
	case len(p.problems) > 0: // may be no more than a consequence
	case !d.Path.IsSet():
		d.Path = Some(s)
	case !p.hadPrefix && d.Format == FormatUnknown:
		if d.Path.Value() == "" && p.vdevWithType(s) {
			d.Format = FormatEmpty
		} else {
			p.setFormat(s)
		}
	case !d.VDev.IsSet():
		if !p.vdevWithType(s) {
			d.VDev = Some(s)
		}
	case !p.accessSet:
		p.accessSet = true
		p.setAccess(s)
	default:
		p.fail(&s, "too many positional parameters")
		return false
	}
	return true
}

// vdevWithType handles the old "hdc:cdrom".
func (p *diskParser) vdevWithType(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return false
	}
	p.set("vdev", &p.disk.VDev, s[:i])
	switch kind := s[i+1:]; kind {
	case "cdrom":
		p.disk.IsCDROM = 1
	case "disk":
		p.disk.IsCDROM = 0
	default:
		p.fail(&kind, "unknown deprecated type")
	}
	return true
}

// disks reads the disks of a file.
func (b *builder) disks() error {
	items, _ := b.texts("disk")
	for _, item := range items {
		d, err := parseDisk(b.file, b.opts.Release, item)
		if err != nil {
			return err
		}
		b.spec.Disks = append(b.spec.Disks, d)
	}
	return nil
}
