package config

import (
	"math"
	"regexp"
	"strings"
)

// ParseNIC reads the settings of a network interface, such as "bridge=xenbr0" and
// "mac=00:16:3e:01:02:03", one per argument, as network-attach does. Defaults
// come from conf, which may be nil. Up to the error, which is an *Error, there
// may be warnings.
func ParseNIC(rel Release, conf *Conf, settings ...string) (NIC, []Warning, error) {
	p := nicParser{source: "command line", rel: rel, nic: defaultNIC(conf)}
	for _, s := range settings {
		err := p.setting(s)
		if bad, ok := err.(nicError); ok {
			err = bad.err
		}
		if err != nil {
			return p.nic, p.warnings, err
		}
	}
	return p.nic, p.warnings, nil
}

// defaultNIC holds what xl.conf says of every interface.
func defaultNIC(conf *Conf) NIC {
	if conf == nil {
		return NIC{}
	}
	return NIC{
		Script: conf.VIFScript, Bridge: conf.VIFBridge, GatewayDev: conf.VIFGatewayDev,
		Backend: Backend{Name: conf.VIFBackend},
	}
}

// nicParser reads one interface.
type nicParser struct {
	source   string
	rel      Release
	nic      NIC
	warnings []Warning
}

// nicError is a setting that network-attach refuses and a file has for nothing.
type nicError struct{ err *Error }

func (p *nicParser) refuse(text, msg, hint string) error {
	return nicError{&Error{Exit: 1, Problems: []Problem{{File: p.source, Code: CodeVIF, Msg: msg, Hint: hint, Text: text}}}}
}

func (e nicError) Error() string { return e.err.Error() }

func (p *nicParser) note(text, msg string) {
	p.warnings = append(p.warnings, Warning{File: p.source, Code: CodeDeprecated, Msg: msg, Text: text})
}

// nicTexts are the settings that are kept as they are.
func (p *nicParser) nicText(key string) *Opt[string] {
	n := &p.nic
	switch key {
	case "bridge":
		return &n.Bridge
	case "gatewaydev", "netdev":
		return &n.GatewayDev
	case "ip":
		return &n.IP
	case "script":
		return &n.Script
	case "backend":
		return &n.Backend.Name
	case "vifname":
		return &n.IfName
	case "model":
		return &n.Model
	case "vlan":
		if !p.rel.Before(4, 19) {
			return &n.VLAN
		}
	}
	return nil
}

// setting reads one "key=value" or flag.
func (p *nicParser) setting(s string) error {
	key, val, hasVal := strings.Cut(s, "=")
	if !hasVal {
		return p.flag(s)
	}
	if key == "netdev" {
		p.note("the netdev parameter is deprecated, please use gatewaydev instead\n", "netdev is an old name of gatewaydev")
	}
	if dst := p.nicText(key); dst != nil {
		*dst = Some(val)
		return nil
	}
	if member, ok := coloMember(key); ok {
		if p.nic.COLO == nil {
			p.nic.COLO = NICCOLO{}
		}
		p.nic.COLO[member] = val
		return nil
	}
	switch {
	case key == "type":
		switch val {
		case "vif":
			p.nic.Type = NICVIF
		case "ioemu":
			p.nic.Type = NICVIFIOEMU
		default:
			return p.refuse("Invalid parameter `type'.\n", "vif: type `"+val+"' is not known", "vif or ioemu")
		}
	case key == "mac":
		mac, ok := parseLooseMAC(val, &p.nic.MAC)
		if !ok {
			return p.refuse("Invalid parameter `mac'.\n", "vif: `"+val+"' is not a MAC address", "six hexadecimal bytes such as 00:16:3e:01:02:03")
		}
		p.nic.MAC = mac
	case key == "rate":
		return p.rate(val)
	case key == "accel":
		p.note("the accel parameter for vifs is currently not supported\n", "vif: accel is not supported")
	case key == "devid":
		n, err := parseUlong(val)
		if err != nil {
			return err
		}
		p.nic.DevID = optInt(int32(n))
	case key == "mtu" && !p.rel.Before(4, 15):
		n, err := parseUlong(val)
		if err != nil {
			return err
		}
		p.nic.MTU = int(int32(n))
	default:
		return p.unknown(s)
	}
	return nil
}

func (p *nicParser) unknown(s string) error {
	key, _, _ := strings.Cut(s, "=")
	return p.refuse("unrecognized argument `"+s+"'\n", "vif: unknown setting `"+key+"'", didYouMean(key, nicKeys))
}

var nicKeys = []string{
	"mac", "bridge", "gatewaydev", "type", "model", "vifname", "script", "ip", "backend", "rate", "devid", "mtu",
	"vlan", "trusted", "untrusted",
}

func (p *nicParser) flag(s string) error {
	if p.rel.Before(4, 17) || s != "trusted" && s != "untrusted" {
		return p.unknown(s)
	}
	p.nic.Trusted = Bool(s == "trusted")
	return nil
}

// parseLooseMAC reads six hexadecimal numbers with any one character between
// them. What was read before an error is kept in partial.
func parseLooseMAC(s string, partial *MAC) (MAC, bool) {
	mac := *partial
	for i := range mac {
		n, rest, ok := scanUint(s, 16)
		if !ok || uint32(n) > 255 || i < 5 && rest == "" {
			if ok && uint32(n) <= 255 {
				partial[i] = byte(n)
			}
			return mac, false
		}
		mac[i], partial[i] = byte(n), byte(n)
		s = strings.TrimPrefix(rest, rest[:min(len(rest), 1)])
	}
	return mac, true
}

const (
	rateForm     = `^[0-9]+[GMK]?[Bb]/s$`
	intervalForm = `^[0-9]+[mu]?s?$`
)

// rate reads a limit such as "10Mb/s@20ms" into bytes per interval.
func (p *nicParser) rate(s string) error {
	rate, interval, hasInterval := strings.Cut(s, "@")
	fail := func(msg, what string) error {
		text := p.source + ": config parsing error in vif: " + msg + " in `" + what + "'\n"
		return &Error{Exit: 1, Problems: []Problem{{
			File: p.source, Code: CodeVIF, Msg: "vif: " + msg + " in `" + what + "'",
			Hint: "such as 10Mb/s or 250KB/s@20ms", Text: text,
		}}}
	}
	if rate == "" {
		return fail("no rate specified", s)
	}
	if !regexp.MustCompile(rateForm).MatchString(rate) {
		return fail("invalid rate", rate)
	}
	n, unit, _ := scanUint(rate, 0)
	if n == 0 || n > math.MaxUint32 {
		return fail("rate overflow", rate)
	}
	switch unit[0] {
	case 'G':
		n *= 1000 * 1000 * 1000
	case 'M':
		n *= 1000 * 1000
	case 'K':
		n *= 1000
	}
	if unit[0] == 'b' || unit[1] == 'b' {
		n /= 8
	}
	usecs := uint64(50000)
	if hasInterval {
		if !regexp.MustCompile(intervalForm).MatchString(interval) {
			return fail("invalid replenishment interval", interval)
		}
		var rest string
		usecs, rest, _ = scanUint(interval, 0)
		if usecs == 0 || usecs > math.MaxUint32 {
			return fail("replenishment interval overflow", interval)
		}
		switch {
		case rest == "" || rest[0] == 's':
			usecs *= 1000 * 1000
		case rest[0] == 'm':
			usecs *= 1000
		}
		if usecs > math.MaxUint32 {
			return fail("replenishment interval overflow", interval)
		}
	}
	if n > math.MaxUint64/usecs {
		return fail("rate overflow", s)
	}
	p.nic.RateIntervalUsecs = uint32(usecs)
	p.nic.RateBytesPerInterval = n * usecs / 1000000
	return nil
}

// nics reads the interfaces of a file. A setting that cannot be understood is
// complained about and has no effect.
func (b *builder) nics() error {
	items, _ := b.texts("vif")
	for i, item := range items {
		p := nicParser{source: b.file, rel: b.opts.Release, nic: defaultNIC(b.conf)}
		p.nic.DevID = Some(i)
		for _, s := range fields(item, ",") {
			err := p.setting(strings.TrimLeft(s, " "))
			if bad, ok := err.(nicError); ok {
				p.warnings = append(p.warnings, bad.err.Problems...)
				continue
			}
			if err != nil {
				b.warnings = append(b.warnings, p.warnings...)
				return err
			}
		}
		b.warnings = append(b.warnings, p.warnings...)
		b.spec.NICs = append(b.spec.NICs, p.nic)
	}
	if _, p := b.list("vif2", loud); p == given {
		b.note(CodeDeprecated, "WARNING: vif2: netchannel2 is deprecated and not supported by xl\n")
	}
	return nil
}
