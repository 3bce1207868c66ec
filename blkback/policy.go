package blkback

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"goxl/blkback/disk"
)

// Policy is how much a disk may do, what becomes of a write for which the host has no
// room, and whose memory keeps the disk's data. The zero Policy has no limits, lets such a
// write fail, and leaves caching to the guest.
type Policy struct {
	Limits disk.Limits
	// Pause lets a write that finds the host's file system full wait until there is
	// room: the guest sees a slow disk and no error.
	Pause bool
	// Host has reads and writes go through the host's page cache. It counts when the
	// disk is opened.
	Host bool
}

const (
	maxRate  = 1 << 50 // requests or bytes per second
	maxBurst = time.Hour
)

// set changes p by words such as "read-iops=500", "bytes=20M", "burst=2s" or
// "full=pause". One that is not understood changes nothing.
func (p *Policy) set(words []string) error {
	changed := *p
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		if err := changed.setOne(name, value); err != nil {
			return fmt.Errorf("%.60q: %w", w, err)
		}
	}
	*p = changed
	return nil
}

// String is p in the words that set understands; "" is the zero Policy.
func (p Policy) String() string {
	var words []string
	l := p.Limits
	for _, r := range []struct {
		way string
		disk.Rate
	}{{"", l.Total}, {"read-", l.Read}, {"write-", l.Write}} {
		if r.IOPS > 0 {
			words = append(words, fmt.Sprintf("%siops=%d", r.way, r.IOPS))
		}
		if r.Bytes > 0 {
			words = append(words, fmt.Sprintf("%sbytes=%d", r.way, r.Bytes))
		}
	}
	if l.Total.Burst > 0 {
		words = append(words, "burst="+l.Total.Burst.String())
	}
	if p.Pause {
		words = append(words, "full=pause")
	}
	if p.Host {
		words = append(words, "cache=host")
	}
	return strings.Join(words, " ")
}

func (p *Policy) setOne(name, value string) (err error) {
	l := &p.Limits
	switch name {
	case "iops":
		l.Total.IOPS, err = parseRate(value, false)
	case "read-iops":
		l.Read.IOPS, err = parseRate(value, false)
	case "write-iops":
		l.Write.IOPS, err = parseRate(value, false)
	case "bytes":
		l.Total.Bytes, err = parseRate(value, true)
	case "read-bytes":
		l.Read.Bytes, err = parseRate(value, true)
	case "write-bytes":
		l.Write.Bytes, err = parseRate(value, true)
	case "burst":
		d, perr := time.ParseDuration(value)
		if perr != nil || d < 0 || d > maxBurst {
			return fmt.Errorf("want a time up to %s, such as 500ms or 2s", maxBurst)
		}
		l.Read.Burst, l.Write.Burst, l.Total.Burst = d, d, d
	case "full":
		if value != "error" && value != "pause" {
			return fmt.Errorf("want error or pause")
		}
		p.Pause = value == "pause"
	case "cache":
		if value != "direct" && value != "host" {
			return fmt.Errorf("want direct or host")
		}
		p.Host = value == "host"
	default:
		return fmt.Errorf("not a word of a policy: iops, bytes, read-iops, read-bytes, write-iops, write-bytes, burst, full, cache")
	}
	return err
}

// parseRate reads a number per second; bytes may have a suffix K, M or G, powers of
// 1024. 0 is no limit.
func parseRate(s string, bytes bool) (int64, error) {
	digits, unit := s, int64(1)
	if i := len(s) - 1; bytes && i > 0 {
		if k := strings.IndexByte("KMG", s[i]); k >= 0 {
			digits, unit = s[:i], int64(1)<<(10*(k+1))
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > maxRate/unit {
		if bytes {
			return 0, fmt.Errorf("want bytes per second, such as 500K or 20M, or 0 for no limit")
		}
		return 0, fmt.Errorf("want requests per second, or 0 for no limit")
	}
	return int64(n) * unit, nil
}

// Rules are the policies of a host's disks, by guest and disk. The zero value has none.
type Rules struct{ list []rule }

// rule is a line of the file. An empty guest and a negative disk are any.
type rule struct {
	guest string // name or UUID
	dev   int
	words []string
}

// ParseRules reads lines "GUEST DISK WORD...". GUEST is a name or a UUID, DISK is what
// vdev knows, such as xvda; either may be "*". Of all lines that fit a disk, a later
// one wins, word by word. A # begins a comment.
func ParseRules(r io.Reader, vdev func(name string) (int, error)) (Rules, error) {
	var all Rules
	s := bufio.NewScanner(r)
	for n := 1; s.Scan(); n++ {
		line, _, _ := strings.Cut(s.Text(), "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 3 {
			return Rules{}, fmt.Errorf("line %d: want GUEST DISK and what they may, such as iops=500", n)
		}
		one := rule{guest: f[0], dev: -1, words: f[2:]}
		if one.guest == "*" {
			one.guest = ""
		}
		if f[1] != "*" {
			dev, err := vdev(f[1])
			if err != nil {
				return Rules{}, fmt.Errorf("line %d: %w", n, err)
			}
			one.dev = dev
		}
		var p Policy
		if err := p.set(one.words); err != nil {
			return Rules{}, fmt.Errorf("line %d: %w", n, err)
		}
		all.list = append(all.list, one)
	}
	return all, s.Err()
}

// owner is whom a disk belongs to. Either may be unknown, "".
type owner struct{ name, uuid string }

func (r *rule) isFor(who owner) bool {
	return r.guest == "" || r.guest == who.name || who.uuid != "" && strings.EqualFold(r.guest, who.uuid)
}

// of is the policy of a disk.
func (r Rules) of(who owner, dev int) Policy {
	var p Policy
	for i := range r.list {
		one := &r.list[i]
		if one.isFor(who) && (one.dev < 0 || one.dev == dev) {
			_ = p.set(one.words) // they were understood before
		}
	}
	return p
}
