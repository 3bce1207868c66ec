package migrate

import (
	"bytes"
	"io"

	"goxl/migrate/stream"
	"goxl/migrate/transport"
)

// how is what happens to one message on its way.
type how struct {
	name    string
	deliver func(b []byte) []byte // what arrives
	ends    bool                  // the connection, after that
	told    bool                  // the writer learns of it at once
}

func nothingOf([]byte) []byte   { return nil }
func halfOf(b []byte) []byte    { return b[:len(b)/2] }
func allButOne(b []byte) []byte { return b[:len(b)-1] }

// garbled has one bit changed, in the middle.
func garbled(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 4
	return b
}

// ways are all that can happen to a message. A connection that ends may or may not
// tell the writer: what was written may lie in a buffer.
var ways = []how{
	{"lost", nothingOf, true, false},
	{"lost, and the writer is told", nothingOf, true, true},
	{"cut", halfOf, true, false},
	{"cut, and the writer is told", halfOf, true, true},
	{"whole, and the writer is told otherwise", bytes.Clone, true, true},
	{"garbled", garbled, false, false},
}

// message is one that a side writes.
type message struct {
	name string
	is   func(b []byte) bool
}

func says(name, text string) message {
	return message{name, func(b []byte) bool { return bytes.HasPrefix(b, []byte(text)) }}
}

// nth is the nth write of a side.
func nth(name string, n int) message {
	return message{name, func([]byte) bool { n--; return n == 0 }}
}

var (
	greeting     = says("greeting", stream.Banner)
	header       = says("header", "Xen saved domain")
	streamEnd    = message{"end of the stream", func(b []byte) bool { return bytes.Equal(b, make([]byte, 8)) }}
	packedHeader = says("header, packed", transport.Magic)
	packedEnd    = message{"end of what is packed", func(b []byte) bool { return len(b) == 16 && b[0] == 0 }}

	ready      = says("ready", stream.Ready)
	permission = says("permission", stream.Go)
	report     = says("report", stream.Report)
	givenBack  = says("permission given back", stream.Go)
)

// end is one side's way to the other.
type end struct {
	io.Reader
	w     io.Writer
	msg   message
	how   how
	hurt  bool // it happened
	hangs func()
}

func (e *end) Write(b []byte) (int, error) {
	if e.msg.is == nil || e.hurt || !e.msg.is(b) {
		return e.w.Write(b)
	}
	e.hurt = true
	arrives := e.how.deliver(b)
	if len(arrives) > 0 {
		if n, err := e.w.Write(arrives); err != nil {
			return n, err
		}
	}
	if e.how.ends {
		e.hangs()
	}
	if e.how.told {
		return len(arrives) / 2, io.ErrClosedPipe
	}
	return len(b), nil
}

// link connects a sender and a receiver. A side that hangs up ends it for both.
func link() (sender, receiver *end) {
	toReceiver, fromSender := io.Pipe()
	toSender, fromReceiver := io.Pipe()
	hang := func() {
		fromSender.Close()
		fromReceiver.Close()
		toReceiver.Close()
		toSender.Close()
	}
	// What is written before the end can still be read; a pipe hands over in the
	// Write itself, so that nothing is in it any more here.
	return &end{Reader: eofAfter{toSender}, w: fromSender, hangs: hang}, &end{Reader: eofAfter{toReceiver}, w: fromReceiver, hangs: hang}
}

// eofAfter makes a pipe that was closed under its reader an end of file.
type eofAfter struct{ io.Reader }

func (r eofAfter) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err == io.ErrClosedPipe {
		err = io.EOF
	}
	return n, err
}
