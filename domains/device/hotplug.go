package device

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/host"
	"goxl/domains/logs"
	"goxl/xenstore"
)

// plug makes what the backend of dev needs on this host, as the device's hotplug
// script does: by running it, or ourselves if the script is one that we know.
// It returns the loop device that a disk got, if one.
func (s *Set) plug(ctx context.Context, dev Device) (loop string, err error) {
	switch dev.BackendKind {
	case VBD, VBD3:
		return s.hotplugDisk(ctx, dev, true)
	case VIF:
		return "", s.hotplugNIC(ctx, dev, true)
	}
	return "", nil
}

// unplug takes away what plug made.
func (s *Set) unplug(ctx context.Context, dev Device) error {
	var err error
	switch dev.BackendKind {
	case VBD, VBD3:
		_, err = s.hotplugDisk(ctx, dev, false)
	case VIF:
		err = s.hotplugNIC(ctx, dev, false)
	}
	if errors.Is(err, host.ErrScript) || errors.Is(err, errOdd) {
		s.logFor(dev).Warn("host side of a removed device may be left", logs.Error(err))
		return nil
	}
	return err
}

// errOdd says that what stands in xenstore about a device makes no sense, so that
// there is nothing to try again.
var errOdd = errors.New("a key that makes no sense")

// awaitErased waits until the domain that served dev has removed its half.
func (s *Set) awaitErased(ctx context.Context, dev Device) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeouts.Detach, ErrTimeout)
	defer cancel()
	_, err := s.Store.Await(ctx, dev.BackendPath(), func(_ string, exists bool) bool { return !exists })
	if errors.Is(err, ErrTimeout) {
		return fmt.Errorf("%w: domain %d did not remove its half within %v; is a toolstack daemon (xl devd) running there?",
			ErrTimeout, dev.Backend, s.Timeouts.Detach)
	}
	return err
}

func (s *Set) hotplugDisk(ctx context.Context, dev Device, add bool) (loop string, err error) {
	v, err := s.read(ctx, dev.BackendPath(), "script", "params", "mode", "node", "physical-device")
	if err != nil {
		return "", err
	}
	script := v["script"]
	if script == "" {
		return "", fmt.Errorf("%s has no hotplug script in %s: %w", dev, dev.BackendPath(), errOdd)
	}
	if known, ok := s.known(script); ok && known.Block && dev.BackendKind == VBD {
		b := block{set: s, dev: dev, target: v["params"], mode: v["mode"], node: v["node"]}
		if !add {
			return "", b.remove(ctx)
		}
		if v["physical-device"] != "" {
			return b.node, nil // done already, perhaps by udev
		}
		if handled, err := b.add(ctx); handled {
			return b.node, s.failed(ctx, dev, err)
		}
	}
	run := func(action string) error {
		return s.runScript(ctx, dev, host.Script{Path: script, Args: []string{action}, Env: s.scriptEnv(dev, script)})
	}
	if add {
		if err := s.withLoopsOf(ctx, v["params"], func() error { return run("add") }); err != nil {
			return "", err
		}
		loop, err := s.Store.Read(ctx, dev.BackendPath()+"/node")
		return loop, ignoreMissing(err)
	}
	err = run("remove")
	if err != nil && v["node"] != "" {
		if e := (&block{set: s, dev: dev, target: v["params"], node: v["node"]}).remove(ctx); e != nil {
			return "", fmt.Errorf("%w; the hotplug script did not do it: %v", e, err)
		}
	}
	return "", err
}

func (s *Set) hotplugNIC(ctx context.Context, dev Device, add bool) error {
	v, err := s.read(ctx, dev.BackendPath(), "script", "type", "bridge", "vifname", "mtu", "gatewaydev")
	if err != nil {
		return err
	}
	script := v["script"]
	if script == "" {
		return fmt.Errorf("%s has no hotplug script in %s: %w", dev, dev.BackendPath(), errOdd)
	}
	vif, tap := "offline", "remove"
	if add {
		vif, tap = "online", "add"
	}
	emulated := v["type"] == string(NICIOEmu)
	env := append(s.scriptEnv(dev, script), "netdev="+v["gatewaydev"])
	if emulated {
		env = append(env, "INTERFACE="+ifName(dev)+"-emu")
	}
	env = append(env, "vif="+ifName(dev))

	if known, ok := s.known(script); ok && known.Bridge && v["bridge"] != "" {
		p := port{set: s, dev: dev, bridge: v["bridge"], name: v["vifname"], mtu: cInt(v["mtu"]), tellMTU: known.FrontendMTU}
		if add {
			err = s.failed(ctx, dev, p.online(ctx))
		} else {
			err = p.offline()
		}
	} else {
		err = s.runScript(ctx, dev, host.Script{Path: script, Args: []string{vif, "type_if=vif"}, Env: env})
	}
	if err != nil && add || !emulated || s.hasStubDomain(ctx, dev.Dom) {
		return err
	}
	return errors.Join(err, s.runScript(ctx, dev, host.Script{Path: script, Args: []string{tap, "type_if=tap"}, Env: env}))
}

// known says what script does if we may do it instead.
func (s *Set) known(script string) (host.Behaviour, bool) {
	if s.AlwaysScript {
		return host.Behaviour{}, false
	}
	return s.Host.Known(script)
}

// scriptEnv returns what each hotplug script finds in its environment. The paths
// are relative to our own domain's.
func (s *Set) scriptEnv(dev Device, script string) []string {
	return []string{
		"script=" + script,
		"XENBUS_TYPE=" + string(dev.BackendKind),
		fmt.Sprintf("XENBUS_PATH=backend/%s/%d/%d", dev.BackendKind, dev.Dom, dev.ID),
		"XENBUS_BASE_PATH=backend",
	}
}

// runScript runs a hotplug script and adds to its failure what it left in xenstore.
func (s *Set) runScript(ctx context.Context, dev Device, script host.Script) error {
	s.logFor(dev).Debug("hotplug script", logs.Stringer("command", &script), logs.Strings("env", script.Env))
	script.Timeout = s.Timeouts.Script
	err := s.Host.RunScript(ctx, &script)
	if err == nil {
		return nil
	}
	text, rerr := s.Store.Read(context.WithoutCancel(ctx), dev.BackendPath()+"/hotplug-error")
	if rerr == nil && text != "" {
		return fmt.Errorf("%w: %.1000s", err, text)
	}
	return err
}

// failed leaves err where a script would leave it, for whoever looks there.
func (s *Set) failed(ctx context.Context, dev Device, err error) error {
	if err == nil {
		return nil
	}
	status := "error"
	if errors.Is(err, ErrInUse) {
		status = "busy"
	}
	ctx = context.WithoutCancel(ctx)
	werr := s.Store.Update(ctx, func(tx *xenstore.Tx) error {
		if err := stillWanted(ctx, tx, dev); err != nil {
			return err
		}
		var b xenstore.Batch
		b.Write(dev.BackendPath()+"/hotplug-error", err.Error())
		b.Write(dev.BackendPath()+"/hotplug-status", status)
		return tx.Send(ctx, &b)
	})
	if werr != nil {
		s.logFor(dev).Debug("hotplug-error not written", logs.Error(werr))
	}
	return err
}

// stillWanted fails when the backend is gone, or told to go: then nothing may be
// written below it, since that would make its directory anew, for nobody to remove.
func stillWanted(ctx context.Context, tx *xenstore.Tx, dev Device) error {
	text, err := tx.Read(ctx, dev.BackendPath()+"/state")
	if err != nil && !errors.Is(err, xenstore.ErrNotFound) {
		return err
	}
	if state := ParseState(text); err != nil || state == Closing || state == Closed {
		return fmt.Errorf("%s was closed or removed while it was attached (state %q)", dev, text)
	}
	return nil
}

// hasStubDomain reports whether the guest's device model runs in a domain of its
// own, where it looks after its interfaces itself.
func (s *Set) hasStubDomain(ctx context.Context, dom DomID) bool {
	v, err := s.Store.Read(ctx, fmt.Sprintf("/local/domain/%d/image/device-model-domid", dom))
	return err == nil && cInt(v) != 0
}

// read returns the values of the keys that exist below dir.
func (s *Set) read(ctx context.Context, dir string, keys ...string) (map[string]string, error) {
	var b xenstore.Batch
	replies := make([]*xenstore.Reply, len(keys))
	for i, k := range keys {
		replies[i] = b.Read(dir + "/" + k)
	}
	if err := s.Store.Send(ctx, &b); err != nil {
		return nil, err
	}
	values := make(map[string]string, len(keys))
	for i, k := range keys {
		v, err := replies[i].Value()
		if err == nil {
			values[k] = v
		} else if !errors.Is(err, xenstore.ErrNotFound) {
			return nil, err
		}
	}
	return values, nil
}
