package hosttest

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"slices"

	"goxl/domains/host"
)

// AddLink adds an interface, as a driver does.
func (k *Kernel) AddLink(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.links[name] == nil {
		k.next++
		k.links[name] = &host.Link{Name: name, Index: k.next, MTU: 1500}
	}
	for _, news := range k.news {
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

// RemoveLink removes an interface, as a driver does.
func (k *Kernel) RemoveLink(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.links, name)
}

// LinkNames returns the names of all interfaces, sorted.
func (k *Kernel) LinkNames() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.links))
}

func (k *Kernel) FindLink(name string) (host.Link, error) {
	if err := k.before("netlink", "get "+name); err != nil {
		return host.Link{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.links[name]; l != nil {
		return *l, nil
	}
	return host.Link{}, fmt.Errorf("link %s not found: %w", name, fs.ErrNotExist)
}

// change carries out one request about an interface.
func (k *Kernel) change(call string, l host.Link, f func(*host.Link)) error {
	if err := k.before("netlink", call+" "+l.Name); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, have := range k.links {
		if have.Index == l.Index {
			f(have)
			return nil
		}
	}
	return fs.ErrNotExist
}

func (k *Kernel) SetLinkUp(l host.Link, up bool) error {
	return k.change(fmt.Sprint("up ", up), l, func(*host.Link) {})
}

func (k *Kernel) SetLinkName(l host.Link, name string) error {
	return k.change("rename", l, func(have *host.Link) {
		delete(k.links, have.Name)
		have.Name = name
		k.links[name] = have
	})
}

func (k *Kernel) SetLinkMaster(l host.Link, bridge int) error {
	return k.change("master", l, func(have *host.Link) { have.Bridge = bridge })
}

func (k *Kernel) SetLinkMTU(l host.Link, mtu int) error {
	return k.change("mtu", l, func(have *host.Link) { have.MTU = mtu })
}

func (k *Kernel) SetLinkAddr(l host.Link, _ net.HardwareAddr) error {
	return k.change("address", l, func(*host.Link) {})
}

func (k *Kernel) FlushLink(l host.Link) error { return k.change("flush", l, func(*host.Link) {}) }

func (k *Kernel) WatchLinks(stop <-chan struct{}) (<-chan struct{}, error) {
	if err := k.before("netlink", "subscribe"); err != nil {
		return nil, err
	}
	news := make(chan struct{}, 1)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.news = append(k.news, news)
	go func() {
		<-stop
		k.mu.Lock()
		defer k.mu.Unlock()
		k.news = slices.DeleteFunc(k.news, func(c chan struct{}) bool { return c == news })
		close(news)
	}()
	return news, nil
}
