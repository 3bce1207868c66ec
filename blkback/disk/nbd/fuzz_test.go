package nbd

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
)

// script is a server that says one thing whatever it is told.
type script struct{ io.Reader }

func (script) Write(p []byte) (int, error) { return len(p), nil }

var be = binary.BigEndian

func hello(flags uint16) []byte {
	b := be.AppendUint64(nil, magicInit)
	return be.AppendUint16(be.AppendUint64(b, magicOption), flags)
}

func reply(option, kind uint32, data []byte) []byte {
	b := be.AppendUint32(be.AppendUint32(be.AppendUint64(nil, magicReply), option), kind)
	return append(be.AppendUint32(b, uint32(len(data))), data...)
}

func exportInfo(size uint64, flags uint16) []byte {
	return be.AppendUint16(be.AppendUint64(be.AppendUint16(nil, infoExport), size), flags)
}

func blockInfo(least, best, most uint32) []byte {
	return be.AppendUint32(be.AppendUint32(be.AppendUint32(be.AppendUint16(nil, infoBlockSize), least), best), most)
}

func TestHandshake(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	ack := reply(optGo, repACK, nil)
	for _, tt := range []struct {
		name string
		says []byte
		want *Export
	}{
		{"all of it", join(hello(3), reply(optGo, repInfo, exportInfo(1<<20, flagFlush|flagTrim)),
			reply(optGo, repInfo, blockInfo(512, 4096, 1<<20)), ack),
			&Export{Size: 1 << 20, Flush: true, Trim: true, MinBlock: 512, MaxBlock: 1 << 20}},
		{"no block sizes", join(hello(1), reply(optGo, repInfo, exportInfo(512, flagReadOnly)), ack),
			&Export{Size: 512, ReadOnly: true, MinBlock: 1, MaxBlock: maxPayload}},
		{"an information of tomorrow", join(hello(3), reply(optGo, repInfo, []byte{0, 9, 1}), reply(optGo, repInfo, exportInfo(512, 0)), ack),
			&Export{Size: 512, MinBlock: 1, MaxBlock: maxPayload}},
		{"an old server", join(hello(1), reply(optGo, repUnsup, nil), exportInfo(4096, flagFlush)[2:], make([]byte, 124)),
			&Export{Size: 4096, Flush: true, MinBlock: 1, MaxBlock: maxPayload}},
		{"an old server without zeroes", join(hello(3), reply(optGo, repUnsup, nil), exportInfo(4096, flagFlush)[2:]),
			&Export{Size: 4096, Flush: true, MinBlock: 1, MaxBlock: maxPayload}},
		{"oldstyle", join(be.AppendUint64(be.AppendUint64(nil, magicInit), 0x420281861253), make([]byte, 136)), nil},
		{"newstyle that is not fixed", hello(0), nil},
		{"an unknown export", join(hello(3), reply(optGo, repUnknown, []byte("no"))), nil},
		{"a reply to something else", join(hello(3), reply(3, repACK, nil)), nil},
		{"no size", join(hello(3), ack), nil},
		{"a huge disk", join(hello(3), reply(optGo, repInfo, exportInfo(1<<63, 0)), ack), nil},
		{"odd block sizes", join(hello(3), reply(optGo, repInfo, blockInfo(3, 3, 3)), ack), nil},
		{"a huge reply", join(hello(3), reply(optGo, repInfo, make([]byte, maxReply+1)), ack), nil},
		{"no end", join(hello(3), bytes.Repeat(reply(optGo, repInfo, exportInfo(512, 0)), maxReplies), ack), nil},
		{"cut off", hello(3), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := handshake(script{bytes.NewReader(tt.says)}, "disk")
			if tt.want == nil {
				if err == nil {
					t.Errorf("it was accepted as %+v", e)
				}
				return
			}
			if err != nil || *e != *tt.want {
				t.Errorf("handshake = %+v, %v, want %+v", e, err, tt.want)
			}
		})
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add(append(hello(3), reply(optGo, repInfo, exportInfo(1<<20, 0xff))...))
	f.Add(append(hello(1), reply(optGo, repUnsup, exportInfo(1<<20, 0xff))...))
	f.Fuzz(func(t *testing.T, says []byte) {
		e, err := handshake(script{bytes.NewReader(says)}, "disk")
		if err == nil && (e.Size < 0 || e.MinBlock < 1 || e.MaxBlock < e.MinBlock || e.MaxBlock > maxPayload) {
			t.Errorf("accepted %+v", e)
		}
	})
}

// FuzzReplies is a server that answers a request with anything: the request must end.
func FuzzReplies(f *testing.F) {
	good := be.AppendUint64(be.AppendUint32(be.AppendUint32(nil, magicSimple), 0), 1<<32)
	f.Add(append(good, make([]byte, 512)...))
	f.Add(append(good, 1))
	f.Add(be.AppendUint64(be.AppendUint32(be.AppendUint32(nil, magicSimple), 5), 1<<32))
	f.Fuzz(func(t *testing.T, says []byte) {
		ours, theirs := net.Pipe()
		c := newClient(ours, Export{Size: 1 << 20, MinBlock: 1, MaxBlock: 4096})
		go func() {
			io.ReadFull(theirs, make([]byte, 28)) // the request
			theirs.Write(says)
			theirs.Close()
		}()
		p := make([]byte, 512)
		if _, err := c.ReadAt(p, 0); err == nil && !bytes.HasPrefix(says, good) {
			t.Errorf("%x was taken for a reply", says)
		}
		c.Close()
	})
}
