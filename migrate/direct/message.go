package direct

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"goxl/migrate/lanes"
)

// Name is what this way is called in an offer. It is also what every message begins
// with, which no stream of xl, libxl, libxc or goxl does.
const Name = "goxldir1"

const (
	mostMessage   = 64 << 10
	mostAddresses = 16
)

// ErrMessage is matched when the other side says something that is no message.
var ErrMessage = errors.New("not a message about the direct way")

// invitation is what the sender says first.
type invitation struct {
	Streams     int    `json:"streams"`
	Fingerprint string `json:"fingerprint"` // of the certificate that it will show
}

// answer is what the receiver says to that.
type answer struct {
	Addresses   []netip.AddrPort `json:"addresses"` // where it listens
	Fingerprint string           `json:"fingerprint"`
	Token       []byte           `json:"token"`
	Refused     string           `json:"refused,omitempty"` // why it does not listen
}

// choice is what the sender decides.
type choice struct {
	Direct bool `json:"direct"`
}

func writeMessage(w io.Writer, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	b := binary.LittleEndian.AppendUint32([]byte(Name), uint32(len(body)))
	_, err = w.Write(append(b, body...))
	return err
}

// readMessage reads what begins with magic, of which so many bytes were read before.
func readMessage(r io.Reader, read int, to any) error {
	head := make([]byte, len(Name)+4)
	copy(head, Name[:read])
	if _, err := io.ReadFull(r, head[read:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(head[len(Name):])
	if string(head[:len(Name)]) != Name || n > mostMessage {
		return fmt.Errorf("%w: it begins with %q", ErrMessage, head)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return nil
}

func (i *invitation) check() error {
	if i.Streams < 1 || i.Streams > lanes.MostLanes {
		return fmt.Errorf("%w: %d streams, 1 to %d are possible", ErrMessage, i.Streams, lanes.MostLanes)
	}
	return nil
}

func (a *answer) check() error {
	if len(a.Token) != lanes.TokenSize || len(a.Addresses) == 0 || len(a.Addresses) > mostAddresses {
		return fmt.Errorf("%w: a word of %d bytes, %d addresses", ErrMessage, len(a.Token), len(a.Addresses))
	}
	return nil
}
