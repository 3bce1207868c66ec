package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"goxl/xenstore"
)

// List returns all devices of guest dom that the toolstack has a record of, in
// the store's order. PCI devices have none. Records that make no sense are left
// out. A guest without devices, or that does not exist, has an empty list.
func (s *Set) List(ctx context.Context, dom DomID) ([]Device, error) {
	kinds, err := s.list(ctx, fmt.Sprintf("/libxl/%d/device", dom))
	var devs []Device
	for _, k := range kinds {
		if err != nil || !Kind(k).Known() {
			continue
		}
		var some []Device
		some, err = s.devices(ctx, dom, Kind(k))
		devs = append(devs, some...)
	}
	if err != nil {
		return nil, fmt.Errorf("list devices of domain %d: %w", dom, err)
	}
	return devs, nil
}

// devices returns the devices of one frontend kind.
func (s *Set) devices(ctx context.Context, dom DomID, kind Kind) ([]Device, error) {
	dir := fmt.Sprintf("/libxl/%d/device/%s", dom, kind)
	ids, err := s.list(ctx, dir)
	if err != nil {
		return nil, err
	}
	var b xenstore.Batch
	backs := make([]*xenstore.Reply, len(ids))
	for i, id := range ids {
		backs[i] = b.Read(dir + "/" + id + "/backend")
	}
	if err := s.Store.Send(ctx, &b); err != nil {
		return nil, err
	}
	var devs []Device
	for i, id := range ids {
		path, err := backs[i].Value()
		if errors.Is(err, xenstore.ErrNotFound) {
			continue
		}
		if err != nil { // a device that is not seen would not be removed either
			return nil, err
		}
		d, err1 := ParseBackendPath(path)
		n, err2 := parseDevID(id)
		if err1 != nil || err2 != nil {
			continue
		}
		d.Dom, d.Kind, d.ID = dom, kind, n
		devs = append(devs, d)
	}
	return devs, nil
}

// Strays returns the devices of guest dom that our own domain has a backend's nodes of,
// whether or not the toolstack has a record of them. There is one without a record when
// somebody who did not see it removed the guest. Nodes that make no sense are left out.
func (s *Set) Strays(ctx context.Context, dom DomID) ([]Device, error) {
	devs, err := s.served(ctx, func(kindDir string) ([]string, error) { return []string{strconv.Itoa(int(dom))}, nil })
	if err != nil {
		return nil, fmt.Errorf("list what serves domain %d: %w", dom, err)
	}
	return devs, nil
}

// Served returns all devices that our own domain has a backend's nodes of, whichever
// guests they are for. Nodes that make no sense are left out.
func (s *Set) Served(ctx context.Context) ([]Device, error) {
	devs, err := s.served(ctx, func(kindDir string) ([]string, error) { return s.list(ctx, kindDir) })
	if err != nil {
		return nil, fmt.Errorf("list what domain %d serves: %w", s.Self, err)
	}
	return devs, nil
}

// served lists our own domain's backends for those guests that guests returns for the
// directory of a kind.
func (s *Set) served(ctx context.Context, guests func(kindDir string) ([]string, error)) ([]Device, error) {
	backends := fmt.Sprintf("/local/domain/%d/backend", s.Self)
	kinds, err := s.list(ctx, backends)
	if err != nil {
		return nil, err
	}
	var devs []Device
	for _, kind := range kinds {
		dir := backends + "/" + kind
		doms, err := guests(dir)
		if err != nil {
			return nil, err
		}
		for _, dom := range doms {
			ids, err := s.list(ctx, dir+"/"+dom)
			if err != nil {
				return nil, err
			}
			for _, id := range ids {
				if d, ok := ServedAt(dir + "/" + dom + "/" + id); ok {
					devs = append(devs, d)
				}
			}
		}
	}
	return devs, nil
}

// list returns a directory's names; none when it does not exist.
func (s *Set) list(ctx context.Context, path string) ([]string, error) {
	names, err := s.Store.List(ctx, path)
	return names, ignoreMissing(err)
}

// Link is how far the two halves of a device have come. Numbers that the guest
// has not published are -1.
type Link struct {
	Device
	State   int // of the frontend
	EvtChn  int
	RingRef int // vbd; for a vif the transmit ring's
	RxRef   int // vif only
}

// DiskInfo is a disk in use.
type DiskInfo struct {
	Link
	Disk Disk // as far as the record tells: without the format
}

// NICInfo is a network interface in use.
type NICInfo struct {
	Link
	NIC NIC
}

// HostName is the name of the interface in the backend's domain.
func (n NICInfo) HostName() string {
	if n.NIC.IfName != "" {
		return n.NIC.IfName
	}
	return ifName(n.Device)
}

// ChannelInfo is a channel in use.
type ChannelInfo struct {
	Link
	Channel Channel
	TTY     string // of a channel with Connection "pty"
}

// Disks returns the disks of guest dom as "xl block-list" shows them.
func (s *Set) Disks(ctx context.Context, dom DomID) ([]DiskInfo, error) {
	var infos []DiskInfo
	for _, kind := range []Kind{VBD, VirtioDisk} {
		devs, err := s.devices(ctx, dom, kind)
		if err != nil {
			return nil, fmt.Errorf("list disks of domain %d: %w", dom, err)
		}
		for _, d := range devs {
			rec, err := s.record(ctx, d, "event-channel", "ring-ref", "ring-ref")
			if err != nil {
				return nil, err
			}
			infos = append(infos, DiskInfo{rec.link, rec.disk()})
		}
	}
	return infos, nil
}

// NICs returns the network interfaces of guest dom as "xl network-list" shows them.
func (s *Set) NICs(ctx context.Context, dom DomID) ([]NICInfo, error) {
	devs, err := s.devices(ctx, dom, VIF)
	if err != nil {
		return nil, fmt.Errorf("list vifs of domain %d: %w", dom, err)
	}
	var infos []NICInfo
	for _, d := range devs {
		rec, err := s.record(ctx, d, "event-channel", "tx-ring-ref", "rx-ring-ref")
		if err != nil {
			return nil, err
		}
		infos = append(infos, NICInfo{rec.link, rec.nic()})
	}
	return infos, nil
}

// Channels returns the channels of guest dom as "xl channel-list" shows them.
func (s *Set) Channels(ctx context.Context, dom DomID) ([]ChannelInfo, error) {
	devs, err := s.devices(ctx, dom, ConsoleDev)
	if err != nil {
		return nil, fmt.Errorf("list channels of domain %d: %w", dom, err)
	}
	var infos []ChannelInfo
	for _, d := range devs {
		rec, err := s.record(ctx, d, "port", "ring-ref", "ring-ref")
		if err != nil {
			return nil, err
		}
		if rec.back["name"] == "" {
			continue // a console, not a channel
		}
		c := Channel{DevID: d.ID, Name: rec.back["name"], Connection: rec.back["connection"], Path: rec.back["path"], BackendDom: d.Backend}
		infos = append(infos, ChannelInfo{rec.link, c, rec.front["tty"]})
	}
	return infos, nil
}

// DiskByVDev returns the disk that guest dom knows by that name.
func (s *Set) DiskByVDev(ctx context.Context, dom DomID, vdev string) (DiskInfo, error) {
	id, err := ParseVDev(vdev)
	if err != nil {
		return DiskInfo{}, err
	}
	disks, err := s.Disks(ctx, dom)
	for _, d := range disks {
		if d.ID == id {
			return d, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("disk %s of domain %d: %w", vdev, dom, ErrNotFound)
	}
	return DiskInfo{}, err
}

// NICByName returns the interface of guest dom with that device id or, when name
// holds a colon, that MAC address.
func (s *Set) NICByName(ctx context.Context, dom DomID, name string) (NICInfo, error) {
	match := func(n NICInfo) bool { return n.NIC.DevID == cInt(name) }
	if strings.Contains(name, ":") {
		mac, err := ParseMAC(name)
		if err != nil {
			return NICInfo{}, err
		}
		match = func(n NICInfo) bool { return n.NIC.MAC == mac }
	}
	nics, err := s.NICs(ctx, dom)
	if i := slices.IndexFunc(nics, match); i >= 0 {
		return nics[i], nil
	}
	if err == nil {
		err = fmt.Errorf("vif %s of domain %d: %w", name, dom, ErrNotFound)
	}
	return NICInfo{}, err
}
