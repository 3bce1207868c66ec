package config

import (
	"strings"

	"goxl/xenctrl/abi"
)

// settingsOf cuts a device's description at its commas, without the blanks
// before each part.
func settingsOf(spec string) []string {
	parts := fields(spec, ",")
	for i, p := range parts {
		parts[i] = strings.TrimLeft(p, " ")
	}
	return parts
}

// keyed cuts a description into key and value up to the first part without "=",
// where xl stops reading several kinds of device.
func keyed(spec string) [][2]string {
	var pairs [][2]string
	for _, s := range settingsOf(spec) {
		key, val, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		pairs = append(pairs, [2]string{key, val})
	}
	return pairs
}

// cutShort warns about what keyed left out.
func (b *builder) cutShort(kind, spec string, pairs [][2]string) {
	if all := settingsOf(spec); len(all) > len(pairs) {
		b.noteOurs(CodeDevice, kind+": `"+all[len(pairs)]+"' and what follows is not read", "want key=value")
	}
}

func (b *builder) p9s() error {
	items, _ := b.texts("p9")
	var old P9 // up to 4.17, a setting holds for those that follow as well
	for _, item := range items {
		if b.before(4, 18) {
			old.DevID = Opt[int]{} // the number is lost again
			if err := b.p9Old(&old, item); err != nil {
				return err
			}
			b.spec.P9s = append(b.spec.P9s, old)
			continue
		}
		dev, err := b.p9(item)
		if err != nil {
			return err
		}
		b.spec.P9s = append(b.spec.P9s, dev)
	}
	return nil
}

func (b *builder) p9Old(dev *P9, item string) error {
	pairs := keyed(item)
	for _, kv := range pairs {
		if dst := p9Text(dev, kv[0]); dst != nil {
			*dst = Some(kv[1])
			continue
		}
		return fatal(CodeDevice, "Unknown string `%s' in 9pfs spec\n", kv[0])
	}
	b.cutShort("p9", item, pairs)
	if !dev.Path.IsSet() || !dev.SecurityModel.IsSet() || !dev.Tag.IsSet() {
		return fatal(CodeDevice, "9pfs spec missing required field!\n")
	}
	return nil
}

func p9Text(dev *P9, key string) *Opt[string] {
	switch key {
	case "security_model":
		return &dev.SecurityModel
	case "path":
		return &dev.Path
	case "tag":
		return &dev.Tag
	case "backend":
		return &dev.Backend.Name
	}
	return nil
}

func (b *builder) p9(item string) (P9, error) {
	var dev P9
	for _, s := range fields(item, ",") {
		key, val, ok := b.pair(s)
		if !ok {
			return dev, fatal(CodeDevice, "failed to parse 9pfs configuration: %s", s)
		}
		if dst := p9Text(&dev, key); dst != nil {
			*dst = Some(val)
			continue
		}
		if err := b.p9Setting(&dev, key, val); err != nil {
			return dev, err
		}
	}
	if b.before(4, 19) && (!dev.Path.IsSet() || !dev.SecurityModel.IsSet() || !dev.Tag.IsSet()) {
		return dev, fatal(CodeDevice, "9pfs spec missing required field!\n")
	}
	if dev.Type == P9Xen9pfsd && !dev.Path.IsSet() {
		dev.Path = Some("/var/log/xen/guests/" + b.spec.CInfo.Name.Value())
	}
	return dev, nil
}

func (b *builder) p9Setting(dev *P9, key, val string) error {
	unknown := fatal(CodeDevice, "Unknown 9pfs parameter '%s'\n", key)
	if b.before(4, 19) {
		return unknown
	}
	number := func(dst *int) error {
		n, err := parseUlong(val)
		*dst = int(int32(n))
		return err
	}
	switch key {
	case "type":
		if !fromText(val, &dev.Type) {
			return fatal(CodeDevice, "failed to parse 9pfs type: %s\n", val)
		}
	case "max-files":
		return number(&dev.MaxFiles)
	case "max-open-files":
		return number(&dev.MaxOpenFiles)
	case "max-space":
		return number(&dev.MaxSpace)
	case "auto-delete":
		dev.AutoDelete = strtoul0(val) != 0
	default:
		return unknown
	}
	return nil
}

func (b *builder) vtpms() error {
	items, _ := b.texts("vtpm")
	for i, item := range items {
		dev, err := parseVTPM(item)
		if err != nil {
			return err
		}
		dev.DevID = Some(i)
		b.cutShort("vtpm", item, keyed(item))
		b.spec.VTPMs = append(b.spec.VTPMs, dev)
	}
	return nil
}

func parseVTPM(item string) (VTPM, error) {
	var dev VTPM
	for _, kv := range keyed(item) {
		switch kv[0] {
		case "backend":
			dev.Backend.Name = Some(kv[1])
		case "uuid":
			id, ok := abi.ParseUUID(kv[1])
			if !ok {
				return dev, fatal(CodeDevice, "Failed to parse vtpm UUID: %s\n", kv[1])
			}
			dev.UUID = id
		default:
			return dev, fatal(CodeDevice, "Unknown string `%s' in vtpm spec\n", kv[0])
		}
	}
	if !dev.Backend.Name.IsSet() {
		return dev, fatal(CodeDevice, "vtpm spec missing required backend field!\n")
	}
	return dev, nil
}

func (b *builder) pvcalls() error {
	items, _ := b.texts("pvcalls")
	for i, item := range items {
		dev := PVCallsIf{DevID: Some(i)}
		pairs := keyed(item)
		for _, kv := range pairs {
			if kv[0] != "backend" {
				return fatal(CodeDevice, "Unknown string `%s' in pvcalls spec\n", kv[0])
			}
			dev.Backend.Name = Some(kv[1])
		}
		b.cutShort("pvcalls", item, pairs)
		b.spec.PVCallsIfs = append(b.spec.PVCallsIfs, dev)
	}
	return nil
}

func (b *builder) vdispls() error {
	items, _ := b.texts("vdispl")
	for i, item := range items {
		dev := VDispl{DevID: Some(i)}
		for _, s := range settingsOf(item) {
			if err := b.vdispl(&dev, s); err != nil {
				return err
			}
		}
		if len(dev.Connectors) == 0 {
			return fatal(CodeDevice, "At least one connector should be specified.\n")
		}
		b.spec.VDispls = append(b.spec.VDispls, dev)
	}
	return nil
}

func (b *builder) vdispl(dev *VDispl, s string) error {
	key, val, ok := strings.Cut(s, "=")
	switch {
	case ok && key == "backend":
		dev.Backend.Name = Some(val)
	case ok && key == "be-alloc":
		dev.BEAlloc = strtoul0(val) != 0
	case ok && key == "connectors":
		dev.Connectors = nil
		for _, c := range fields(val, ";") {
			conn, err := b.connector(c)
			if err != nil {
				return err
			}
			dev.Connectors = append(dev.Connectors, conn)
		}
	default:
		return fatal(CodeDevice, "Unknown string \"%s\" in vdispl spec\n", s)
	}
	return nil
}

// connector reads "ID:WIDTHxHEIGHT".
func (b *builder) connector(s string) (Connector, error) {
	id, size, ok := rawPair(s, ":", b.before(4, 18))
	width, rest, okWidth := scanUint(size, 10)
	after, x := strings.CutPrefix(rest, "x")
	height, _, okHeight := scanUint(after, 10)
	if !ok || !okWidth || !x || !okHeight {
		return Connector{}, fatal(CodeDevice, "Can't parse connector resolution\n")
	}
	return Connector{Some(id), uint32(width), uint32(height)}, nil
}

func (b *builder) channels() error {
	items, _ := b.texts("channel")
	for i, item := range items {
		ch := Channel{}
		if b.before(4, 18) {
			ch.DevID = Some(i)
		}
		var path Opt[string]
		for _, s := range fields(item, ",") {
			key, val, ok := b.pair(s)
			if !ok {
				return fatal(CodeDevice, "failed to parse channel configuration: %s", s)
			}
			if err := b.channel(&ch, &path, key, val); err != nil {
				return err
			}
		}
		switch ch.Connection {
		case ChannelUnknown:
			return fatal(CodeDevice, "channel has unknown 'connection'\n")
		case ChannelSocketConn:
			if !path.IsSet() {
				return fatal(CodeDevice, "channel connection 'socket' requires path=..\n")
			}
			ch.Socket = &ChannelSocket{path}
		}
		b.spec.Channels = append(b.spec.Channels, ch)
	}
	return nil
}

func (b *builder) channel(ch *Channel, path *Opt[string], key, val string) error {
	switch key {
	case "backend":
		ch.Backend.Name = Some(val)
	case "name":
		ch.Name = Some(val)
	case "path":
		*path = Some(val)
	case "connection":
		switch val {
		case "pty":
			ch.Connection = ChannelPTY
		case "socket":
			ch.Connection = ChannelSocketConn
		default:
			return fatal(CodeDevice, "unknown channel connection '%s'\n", val)
		}
	default:
		b.note(CodeUnknownKey, "unknown channel parameter '%s', ignoring\n", key)
	}
	return nil
}

func (b *builder) vfbs() error {
	items, _ := b.texts("vfb")
	for i, item := range items {
		dev := VFB{DevID: Some(i)}
		pairs := keyed(item)
		for _, kv := range pairs {
			if !setVFB(&dev, kv[0], kv[1]) {
				b.noteOurs(CodeUnknownKey, "vfb: unknown setting `"+kv[0]+"'", "it is ignored")
			}
		}
		b.cutShort("vfb", item, pairs)
		b.spec.VFBs = append(b.spec.VFBs, dev)
		b.spec.VKBs = append(b.spec.VKBs, VKB{DevID: Some(i)})
	}
	return nil
}

func setVFB(dev *VFB, key, val string) bool {
	on := Bool(atoi(val) != 0)
	switch key {
	case "vnc":
		dev.VNC.Enable = on
	case "vnclisten":
		dev.VNC.Listen = Some(val)
	case "vncpasswd":
		dev.VNC.Passwd = Some(val)
	case "vncdisplay":
		dev.VNC.Display = atoi(val)
	case "vncunused":
		dev.VNC.FindUnused = on
	case "keymap":
		dev.Keymap = Some(val)
	case "sdl":
		dev.SDL.Enable = on
	case "opengl":
		dev.SDL.OpenGL = on
	case "display":
		dev.SDL.Display = Some(val)
	case "xauthority":
		dev.SDL.XAuthority = Some(val)
	default:
		return false
	}
	return true
}

func (b *builder) usbctrls() error {
	items, _ := b.texts("usbctrl")
	for i, item := range items {
		dev := USBCtrl{DevID: Some(i)}
		for _, s := range settingsOf(item) {
			key, val, ok := strings.Cut(s, "=")
			switch {
			case ok && key == "type":
				if !fromText(val, &dev.Type) {
					return fatal(CodeDevice, "Invalid usb controller type '%s'\n", val)
				}
			case ok && key == "version":
				dev.Version = atoi(val)
			case ok && key == "ports":
				dev.Ports = atoi(val)
			default:
				return fatal(CodeDevice, "Unknown string `%s' in usbctrl spec\n", s)
			}
		}
		b.spec.USBCtrls = append(b.spec.USBCtrls, dev)
	}
	return nil
}

func (b *builder) usbdevs() error {
	items, _ := b.texts("usbdev")
	for _, item := range items {
		dev := USBDev{}
		var host USBHostDev
		for _, s := range settingsOf(item) {
			key, val, ok := strings.Cut(s, "=")
			switch {
			case ok && key == "type":
				if !fromText(val, &dev.Type) {
					return fatal(CodeDevice, "Invalid usb device type: (null)\n")
				}
			case ok && key == "hostbus":
				host.HostBus = uint8(strtoul0(val))
			case ok && key == "hostaddr":
				host.HostAddr = uint8(strtoul0(val))
			case ok && key == "controller":
				dev.Ctrl = optInt(int32(atoi(val)))
			case ok && key == "port":
				dev.Port = atoi(val)
			default:
				return fatal(CodeDevice, "Unknown string `%s' in usbdev spec\n", s)
			}
		}
		if dev.Type == USBDevHostDev {
			dev.HostDev = &host
		}
		b.spec.USBDevs = append(b.spec.USBDevs, dev)
	}
	return nil
}
