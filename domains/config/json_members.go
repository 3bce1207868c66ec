package config

import (
	"reflect"
	"strings"
	"sync"
)

// member is a field of a Spec's structs that libxl has in JSON.
type member struct {
	index []int
	name  string
	since Release
	union bool // one of those that the key of a union chooses from
}

// memberCache holds the members of each type, found once.
var memberCache sync.Map // reflect.Type to []member

// membersOf returns the members of a struct in libxl's order.
func membersOf(t reflect.Type) []member {
	if m, ok := memberCache.Load(t); ok {
		return m.([]member)
	}
	var members []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("xl"), ",")
		if name == "-" {
			continue
		}
		m := member{index: []int{i}, name: name, since: Oldest}
		for _, opt := range strings.Split(opts, ",") {
			switch since, ok := strings.CutPrefix(opt, "since="); {
			case ok:
				m.since, _ = parseRelease(since) // TestTags reads all of them
			case opt == "union":
				m.union = true
			case opt == "inline":
				m.name = ""
			}
		}
		if m.name == "" && f.Type.Kind() == reflect.Struct {
			for _, inner := range membersOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				members = append(members, inner)
			}
			continue
		}
		members = append(members, m)
	}
	memberCache.Store(t, members)
	return members
}

// keyed unions. A struct with a union says what its key chose, and how to choose.
// The name is that of the member in JSON, such as "type.pv".
type unionHolder interface {
	unionNames() []string // all that there are; "" stands for a value without name
	unionKey() int        // index of the one chosen
	setUnionKey(int)
}

func (b *BuildInfo) unionNames() []string {
	return []string{"type.invalid", "type.hvm", "type.pv", "type.pvh"}
}
func (b *BuildInfo) unionKey() int     { return int(b.Type) }
func (b *BuildInfo) setUnionKey(i int) { b.setType(DomainType(i)) }

func (c *Channel) unionNames() []string {
	return []string{"connection.unknown", "connection.pty", "connection.socket"}
}
func (c *Channel) unionKey() int { return int(c.Connection) }
func (c *Channel) setUnionKey(i int) {
	c.Connection, c.Socket = ChannelConnection(i), nil
	if c.Connection == ChannelSocketConn {
		c.Socket = new(ChannelSocket)
	}
}

func (u *USBDev) unionNames() []string { return []string{"", "type.hostdev"} }
func (u *USBDev) unionKey() int        { return int(u.Type) }
func (u *USBDev) setUnionKey(i int) {
	u.Type, u.HostDev = USBDevType(i), nil
	if u.Type == USBDevHostDev {
		u.HostDev = new(USBHostDev)
	}
}
