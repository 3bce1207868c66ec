package offer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"goxl/domains"
	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// Version is that of the messages. Members that a version lacks are passed over.
const Version = 1

// Packed is the name of package transport's format in an Answer.
const Packed = "goxlpak1"

// mostMessage is how long a message may be, in bytes.
const mostMessage = 8 << 20

// Question is what the sender asks. Its zero value asks only who is there.
type Question struct {
	Goxl  int    `json:"goxl"` // Version
	Guest *Guest `json:"guest,omitempty"`
	// Holder, if not empty, is the UUID of a guest: who has it?
	Holder string `json:"holder,omitempty"`
}

// Guest is a guest that may come.
type Guest struct {
	Config   json.RawMessage      `json:"config"` // in libxl's JSON, under the name it has
	Leaves   []abi.CPUIDLeaf      `json:"leaves"` // that its CPU has
	Disks    map[string]DiskState `json:"disks"`  // by the guest's name for them
	XenMinor int                  `json:"xen_minor"`
	Boot     string               `json:"boot"` // of the host that it is on
	// Along are the disks that go along with it, by the guest's name for them.
	Along map[string]Along `json:"along,omitempty"`
}

// Along is a disk that goes along: it will be made at the path that Config has for it.
type Along struct {
	Size      int64 `json:"size"`      // in bytes
	Used      int64 `json:"used"`      // that its file takes, about
	Overwrite bool  `json:"overwrite"` // a file that is there may be replaced
}

// DiskState is what a host sees at a disk's path.
type DiskState struct {
	Path string `json:"path"`
	*host.Storage
	Error string `json:"error,omitempty"` // why it sees nothing

	users    []domains.DiskUser // there, as far as it was looked for
	usersErr error
}

// Answer is what the receiver says.
type Answer struct {
	Goxl       int      `json:"goxl"`
	Transports []string `json:"transports"`
	Host       string   `json:"host"`
	Xen        string   `json:"xen"` // "4.17.4"
	XenMinor   int      `json:"xen_minor"`
	Boot       string   `json:"boot"`

	Findings []Finding            `json:"findings"` // of the guest that was asked about
	Disks    map[string]DiskState `json:"disks"`    // its disks, as they are seen there

	Holds []Holding `json:"holds"` // domains with the UUID that was asked for
	// Started is when a guest with that UUID was last given permission to start there;
	// zero when that was not noted since the last time that it came.
	Started time.Time `json:"started"`
}

// Holding is a domain that holds a guest.
type Holding struct {
	ID       abi.DomID `json:"id"`
	Name     string    `json:"name"`
	Paused   bool      `json:"paused"`
	Shutdown bool      `json:"shutdown"` // suspended, or ended
}

// Speaks reports whether the receiver understands a transport.
func (a *Answer) Speaks(transport string) bool {
	for _, t := range a.Transports {
		if t == transport {
			return true
		}
	}
	return false
}

// Finding is one thing that speaks against moving the guest, or could not be found
// out.
type Finding struct {
	About  string `json:"about"`  // "memory", "cpu", "disk", …
	Blocks bool   `json:"blocks"` // the guest would not start there, or be damaged
	Text   string `json:"text"`
}

func (f Finding) String() string {
	word := "note"
	if f.Blocks {
		word = "no"
	}
	return fmt.Sprintf("%-4s %s: %s", word, printable(f.About), printable(f.Text))
}

// printable keeps what the other side said from doing things to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// Blocking are those findings that block.
func Blocking(list []Finding) (out []Finding) {
	for _, f := range list {
		if f.Blocks {
			out = append(out, f)
		}
	}
	return out
}

// Write writes a Question or an Answer.
func Write(w io.Writer, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// ErrNotOurs is matched when what was read is no message of goxl.
var ErrNotOurs = errors.New("not a message of goxl")

// ReadQuestion reads to the end of r. Nothing at all asks who is there.
func ReadQuestion(r io.Reader) (*Question, error) {
	q := &Question{}
	err := read(r, q, func() bool { return q.Goxl > 0 })
	if errors.Is(err, io.EOF) {
		return &Question{Goxl: Version}, nil
	}
	return q, err
}

// ReadAnswer reads to the end of r. What a shell's profile prints before the answer
// is passed over.
func ReadAnswer(r io.Reader) (*Answer, error) {
	b, err := io.ReadAll(io.LimitReader(r, mostMessage+1))
	if err != nil {
		return nil, err
	}
	text := string(b)
	if i := strings.Index(text, `{"goxl":`); i > 0 {
		text = text[i:]
	}
	a := &Answer{}
	return a, read(strings.NewReader(text), a, func() bool { return a.Goxl > 0 })
}

func read(r io.Reader, to any, ours func() bool) error {
	b, err := io.ReadAll(io.LimitReader(r, mostMessage+1))
	switch {
	case err != nil:
		return err
	case len(strings.TrimSpace(string(b))) == 0:
		return io.EOF
	case len(b) > mostMessage:
		return fmt.Errorf("%w: longer than %d bytes", ErrNotOurs, mostMessage)
	}
	if err := json.Unmarshal(b, to); err != nil {
		return fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	if !ours() {
		return ErrNotOurs
	}
	return nil
}
