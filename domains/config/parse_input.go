package config

import "strings"

func (b *builder) vkbs() error {
	items, _ := b.texts("vkb")
	for _, item := range items {
		dev := VKB{DevID: Some(len(b.spec.VKBs))}
		for _, s := range settingsOf(item) {
			if err := setVKB(&dev, s); err != nil {
				return err
			}
		}
		if dev.BackendType == VKBBackendUnknown {
			return fatal(CodeDevice, "backend-type should be set in vkb spec\n")
		}
		sized := dev.MultiTouchHeight != 0 || dev.MultiTouchWidth != 0 || dev.MultiTouchContacts != 0
		if dev.FeatureMultiTouch && !sized {
			return fatal(CodeDevice, "multi-touch-width, multi-touch-height, multi-touch-num-contacts should be set for multi touch in vkb spec\n")
		}
		dev.FeatureMultiTouch = sized
		b.spec.VKBs = append(b.spec.VKBs, dev)
	}
	return nil
}

func setVKB(dev *VKB, s string) error {
	unknown := fatal(CodeDevice, "Unknown string \"%s\" in vkb spec\n", s)
	key, val, ok := strings.Cut(s, "=")
	if !ok {
		return unknown
	}
	n := strtoul0(val)
	switch key {
	case "backend":
		dev.Backend.Name = Some(val)
	case "backend-type":
		if !fromText(val, &dev.BackendType) {
			return fatal(CodeDevice, "Unknown backend_type \"%s\" in vkb spec\n", val)
		}
	case "unique-id":
		dev.UniqueID = Some(val)
	case "feature-disable-keyboard":
		dev.FeatureDisableKeyboard = n != 0
	case "feature-disable-pointer":
		dev.FeatureDisablePointer = n != 0
	case "feature-abs-pointer":
		dev.FeatureAbsPointer = n != 0
	case "feature-raw-pointer":
		dev.FeatureRawPointer = n != 0
	case "feature-multi-touch":
		dev.FeatureMultiTouch = n != 0
	case "multi-touch-width":
		dev.MultiTouchWidth = uint32(n)
	case "multi-touch-height":
		dev.MultiTouchHeight = uint32(n)
	case "multi-touch-num-contacts":
		dev.MultiTouchContacts = uint32(n)
	case "width":
		dev.Width = uint32(n)
	case "height":
		dev.Height = uint32(n)
	default:
		return unknown
	}
	return nil
}

func (b *builder) virtios() error {
	if b.before(4, 18) {
		return nil
	}
	items, _ := b.texts("virtio")
	for i, item := range items {
		dev := Virtio{DevID: Some(i)}
		if err := setVirtio(&dev, settingsOf(item)); err != nil {
			return err
		}
		b.spec.Virtios = append(b.spec.Virtios, dev)
	}
	return nil
}

// setVirtio reads the settings of a virtio device. A type that begins with
// "virtio" has a comma in it.
func setVirtio(dev *Virtio, parts []string) error {
	for i := 0; i < len(parts); i++ {
		s := parts[i]
		key, val, ok := strings.Cut(s, "=")
		switch {
		case ok && key == "backend":
			dev.Backend.Name = Some(val)
		case ok && key == "type":
			if strings.HasPrefix(val, "virtio") {
				if i++; i >= len(parts) {
					return fatal(CodeDevice, "Unknown string \"%s\" in virtio spec\n", s)
				}
				val += "," + parts[i]
			}
			dev.Type = Some(val)
		case ok && key == "transport":
			if !fromText(val, &dev.Transport) {
				return &Error{Exit: 1, Problems: []Problem{{Code: CodeDevice, Msg: "virtio: transport `" + val + "' is not known", Hint: "mmio"}}}
			}
		case ok && key == "grant_usage":
			dev.GrantUsage = Bool(strtoul0(val) != 0)
		default:
			return fatal(CodeDevice, "Unknown string \"%s\" in virtio spec\n", s)
		}
	}
	return nil
}

// vsnds reads the sound cards: a list each, of items such as "pcm, name=dev1".
func (b *builder) vsnds() error {
	cards, p := b.list("vsnd", loud)
	if p != given {
		return nil
	}
	for i, card := range cards {
		if !card.isList {
			b.note(CodeType, "%s:%d:%d: warning: value is not a list\n", b.file, card.line, 0)
			return fatal(CodeType, "Failed to get vsnd card list: Invalid argument\n")
		}
		dev := VSnd{DevID: Some(i)}
		for _, item := range textsOf(card.list) {
			if err := setVSnd(&dev, item); err != nil {
				return err
			}
		}
		b.spec.VSnds = append(b.spec.VSnds, dev)
	}
	return nil
}

// setVSnd reads one item of a sound card: what it is about, then its settings.
func setVSnd(dev *VSnd, item string) error {
	parts := settingsOf(item)
	if len(parts) == 0 {
		return nil
	}
	key := parts[0]
	var set func(*VSnd, string) error
	switch strings.ToLower(key) {
	case "card":
		set = setVSndCard
	case "pcm":
		dev.PCMs = append(dev.PCMs, VSndPCM{})
		set = setVSndPCM
	case "stream":
		if len(dev.PCMs) == 0 {
			dev.PCMs = append(dev.PCMs, VSndPCM{})
		}
		pcm := &dev.PCMs[len(dev.PCMs)-1]
		pcm.Streams = append(pcm.Streams, VSndStream{})
		set = setVSndStream
	default:
		return fatal(CodeDevice, "Invalid key: %s\n", key)
	}
	for _, s := range parts[1:] {
		if err := set(dev, s); err != nil {
			return err
		}
	}
	return nil
}

func setVSndCard(dev *VSnd, s string) error {
	if known, err := setVSndParams(&dev.Params, s); known {
		return err
	}
	key, val, ok := strings.Cut(s, "=")
	switch {
	case ok && key == "backend":
		dev.Backend.Name = Some(val)
	case ok && key == "short-name":
		dev.ShortName = Some(val)
	case ok && key == "long-name":
		dev.LongName = Some(val)
	default:
		return fatal(CodeDevice, "Invalid parameter: %s\n", s)
	}
	return nil
}

func setVSndPCM(dev *VSnd, s string) error {
	pcm := &dev.PCMs[len(dev.PCMs)-1]
	if known, err := setVSndParams(&pcm.Params, s); known {
		return err
	}
	name, ok := strings.CutPrefix(s, "name=")
	if !ok {
		return fatal(CodeDevice, "Invalid parameter: %s\n", s)
	}
	pcm.Name = Some(name)
	return nil
}

func setVSndStream(dev *VSnd, s string) error {
	pcm := &dev.PCMs[len(dev.PCMs)-1]
	stream := &pcm.Streams[len(pcm.Streams)-1]
	if known, err := setVSndParams(&stream.Params, s); known {
		return err
	}
	key, val, ok := strings.Cut(s, "=")
	switch {
	case ok && key == "unique-id":
		stream.UniqueID = Some(val)
	case ok && key == "type":
		if !fromText(val, &stream.Type) {
			return fatal(CodeDevice, "Invalid stream type: %s\n", val)
		}
	default:
		return fatal(CodeDevice, "Invalid parameter: %s\n", s)
	}
	return nil
}

// setVSndParams reads what card, device and stream have in common.
func setVSndParams(p *VSndParams, s string) (known bool, err error) {
	key, val, ok := strings.Cut(s, "=")
	if !ok {
		return false, nil
	}
	switch key {
	case "sample-rates":
		p.SampleRates = nil
		for _, r := range fields(val, ";") {
			p.SampleRates = append(p.SampleRates, uint32(strtoul0(r)))
		}
	case "sample-formats":
		p.SampleFormats = nil
		for _, f := range fields(val, ";") {
			var format VSndPCMFormat
			if !fromText(f, &format) {
				return true, fatal(CodeDevice, "Invalid pcm format: %s\n", f)
			}
			p.SampleFormats = append(p.SampleFormats, format)
		}
	case "channels-min":
		p.ChannelsMin = uint32(strtoul0(val))
	case "channels-max":
		p.ChannelsMax = uint32(strtoul0(val))
	case "buffer-size":
		p.BufferSize = uint32(strtoul0(val))
	default:
		return false, nil
	}
	return true, nil
}
