package mirror

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// socketName is the socket's, in blkback's state folder.
const socketName = "mirror"

// Socket is where blkback with that state folder listens.
func Socket(dir string) string { return filepath.Join(dir, socketName) }

// ID names a disk of a guest.
type ID struct {
	Dom uint16 `json:"dom"`
	Dev int    `json:"dev"` // the number of the virtual device, 51712 for xvda
}

// Disk is one that is served.
type Disk struct {
	ID
	Path     string `json:"path"`
	Format   string `json:"format"` // of package disk
	Size     int64  `json:"size"`   // that the guest sees, in bytes
	ReadOnly bool   `json:"read_only"`
}

// The operations. Each is a line of JSON, answered by one and what follows it.
const (
	opList   = "list"   // the disks
	opOpen   = "open"   // begin to note what is written to one
	opDirty  = "dirty"  // a set: what was written since the last one
	opRead   = "read"   // blocks, but for those of zeroes
	opSettle = "settle" // wait until nothing is under way
)

// mostLine is how long a line may be: a list of disks is the longest.
const mostLine = 4 << 20

// MostRead is how many bytes one Read may ask for.
const MostRead = 4 << 20

// request is what a client asks.
type request struct {
	Op    string `json:"op"`
	ID    ID     `json:"id"`
	First int    `json:"first"`
	Count int    `json:"count"`
}

// reply is what it gets.
type reply struct {
	Error string `json:"error,omitempty"`
	Disks []Disk `json:"disks,omitempty"` // of list
	Disk  *Disk  `json:"disk,omitempty"`  // of open
	Zero  uint64 `json:"zero,omitempty"`  // of read: blocks that hold nothing else
	Bytes int    `json:"bytes,omitempty"` // that follow
}

// errMessage is something that is no message of this protocol.
var errMessage = errors.New("not a message about mirrors of disks")

func appendLine(b []byte, message any) ([]byte, error) {
	text, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	return append(append(b, text...), '\n'), nil
}

// readLine reads one message of at most so many bytes.
func readLine(r *bufio.Reader, most int, to any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > most:
			return fmt.Errorf("%w: longer than %d bytes", errMessage, most)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF && len(line) > 0:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		if err := json.Unmarshal(line, to); err != nil {
			return fmt.Errorf("%w: %w", errMessage, err)
		}
		return nil
	}
}
