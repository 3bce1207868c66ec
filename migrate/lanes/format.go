package lanes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const magic = "goxllan1"

// TokenSize is the length of what tells one migration's connections from another's.
const TokenSize = 16

const (
	helloSize   = 8 + TokenSize + 8
	welcomeSize = 16
	ackSize     = 8
	headerSize  = 32
	// chunkSize is how many bytes of the stream a chunk has at most.
	chunkSize = 1 << 20
	// mostContent is the length of a frame's content at most: what is not compressed,
	// with what package transport puts before blocks and pieces.
	mostContent = chunkSize + chunkSize/8
	// mostKept is how many bytes of frames a sender keeps in a lane until the
	// receiver has them; there may be one frame more.
	mostKept = 8 << 20
	// mostReady is how many unpacked chunks of a lane wait to be read.
	mostReady = 2
)

// MostLanes is how many lanes there may be.
const MostLanes = 32

// The kinds of frames.
const (
	kindAlive = 0
	kindChunk = 1
	kindEnd   = 2
)

var le = binary.LittleEndian

// Errors that callers may tell apart.
var (
	// ErrLost is matched when a lane could not be brought back in time.
	ErrLost = errors.New("data connection lost")
	// ErrGone is for a Dial to match when nobody listens any more. A receiver listens
	// for as long as it lives, so that after a few of these the sender gives up.
	ErrGone = errors.New("nobody listens there any more")
	// ErrPeer is matched when the other side breaks the rules.
	ErrPeer = errors.New("the other side breaks the rules of the data connections")
)

// Options are common to both sides. The zero value of a time is its default.
type Options struct {
	Token [TokenSize]byte
	// Patience is how long a lane may go without getting anything across once its
	// connection was lost; 30 s.
	Patience time.Duration
	// Stall is how long nothing may be heard of the other side before a connection
	// counts as lost; 10 s. Each side makes itself heard four times as often.
	Stall time.Duration
}

func (o *Options) defaults() {
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Stall <= 0 {
		o.Stall = 10 * time.Second
	}
}

// hello begins a connection.
type hello struct {
	token       [TokenSize]byte
	lane, lanes int
}

func (h hello) append(b []byte) []byte {
	b = append(append(b, magic...), h.token[:]...)
	b = le.AppendUint16(b, uint16(h.lane))
	b = le.AppendUint16(b, uint16(h.lanes))
	return le.AppendUint32(b, 0)
}

func parseHello(b []byte) (h hello, err error) {
	if len(b) != helloSize || string(b[:8]) != magic {
		return h, fmt.Errorf("%w: its first words are not those of a lane", ErrPeer)
	}
	copy(h.token[:], b[8:])
	h.lane, h.lanes = int(le.Uint16(b[24:])), int(le.Uint16(b[26:]))
	if h.lanes == 0 || h.lanes > MostLanes || h.lane >= h.lanes {
		return h, fmt.Errorf("%w: lane %d of %d", ErrPeer, h.lane, h.lanes)
	}
	return h, nil
}

func appendWelcome(b []byte, have uint64) []byte { return le.AppendUint64(append(b, magic...), have) }

func parseWelcome(b []byte) (have uint64, err error) {
	if len(b) != welcomeSize || string(b[:8]) != magic {
		return 0, fmt.Errorf("%w: its welcome is not that of a lane", ErrPeer)
	}
	return le.Uint64(b[8:]), nil
}

// header stands before a frame's content.
type header struct {
	kind   uint32
	length int // of the content
	plain  int // bytes of the stream that it stands for
	number uint64
	chunk  uint64
}

// put writes h into the first headerSize bytes of b.
func (h header) put(b []byte) {
	le.PutUint32(b, uint32(h.length))
	le.PutUint32(b[4:], h.kind)
	le.PutUint32(b[8:], uint32(h.plain))
	le.PutUint32(b[12:], 0)
	le.PutUint64(b[16:], h.number)
	le.PutUint64(b[24:], h.chunk)
}

func parseHeader(b []byte) (header, error) {
	h := header{kind: le.Uint32(b[4:]), number: le.Uint64(b[16:]), chunk: le.Uint64(b[24:])}
	length, plain := le.Uint32(b), le.Uint32(b[8:])
	good := false
	switch h.kind {
	case kindAlive:
		good = length == 0 && plain == 0
	case kindChunk:
		good = length > 0 && length <= mostContent && plain > 0 && plain <= chunkSize
	case kindEnd:
		good = length == 8 && plain == 0
	}
	if !good {
		return h, fmt.Errorf("%w: a frame of kind %d, %d bytes long, that stands for %d", ErrPeer, h.kind, length, plain)
	}
	h.length, h.plain = int(length), int(plain)
	return h, nil
}
