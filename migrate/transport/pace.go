package transport

import "time"

// pace is how fast blocks are compressed and how fast they leave. It decides whether
// to compress the next one.
type pace struct {
	zstd  speed   // of bytes that are compressed
	link  speed   // of bytes that leave, waiting for room included
	saved float64 // of each byte
	left  int     // blocks as they are until one is compressed, to see
	small int     // blocks since one told how fast the link is
	wait  int     // how many of these there may be until one goes as it is, to see
}

// A block of the other kind now and then tells whether that would pay by now. A small
// one says nothing of a link, as it only goes into a buffer; so pages that become next
// to nothing have to be sent as they are now and then, which is dear on a slow link,
// and done less and less often there.
const (
	tryEvery   = 32
	mostWait   = 1024
	smallBlock = 16 << 10
)

// worth decides about the next block. Of the first nothing is known.
func (p *pace) worth() bool {
	switch {
	case !p.zstd.known():
		return true
	case !p.link.known() || p.small > p.wait:
		p.wait = min(max(2*p.wait, tryEvery), mostWait)
		return false
	case p.pays():
		return true
	}
	p.wait = tryEvery
	if p.left == 0 {
		p.left = tryEvery
		return true
	}
	p.left--
	return false
}

// pays reports whether compressing a byte takes less time than what it saves would
// take to leave.
func (p *pace) pays() bool { return p.zstd.perByte() < p.saved*p.link.perByte() }

// packed notes that from bytes became to.
func (p *pace) packed(from, to int, took time.Duration) {
	if from < smallBlock {
		return
	}
	p.zstd.add(from, took)
	p.saved = 1 - min(1, float64(to)/float64(from))
}

// sent notes that bytes left.
func (p *pace) sent(n int, took time.Duration) {
	if n < smallBlock {
		p.small++
		return
	}
	p.small = 0
	p.link.add(n, took)
}

// speed is a time for bytes; what was long ago counts less.
type speed struct{ bytes, seconds float64 }

func (s *speed) add(n int, took time.Duration) {
	const keep = 0.75
	s.bytes = keep*s.bytes + float64(n)
	s.seconds = keep*s.seconds + took.Seconds()
}

func (s *speed) known() bool { return s.bytes > 0 }

func (s *speed) perByte() float64 { return s.seconds / s.bytes }
