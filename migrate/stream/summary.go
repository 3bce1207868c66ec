package stream

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"goxl/xenctrl/abi"
)

// Summary is what a stream holds, all of it or up to where an error ended it.
type Summary struct {
	Name     string      // of the guest; "" without a configuration
	Kind     string      // "PV", "PVH", "HVM", "PVH or HVM" without a configuration
	Header   LibxcHeader // the zero value when the stream ended before it
	Records  int
	Bytes    int64  // of the whole stream
	Pages    uint64 // sent with content; a page that was sent twice counts twice
	Verified uint64 // sent once more to be compared, after VERIFY
	// PageTypes counts all pages by type.
	PageTypes [16]uint64
	// Types counts records and their bytes, headers included.
	Types       map[Type]Count
	Checkpoints int

	config string // the kind of guest in the configuration: "pv", "pvh", "hvm"
}

// Count is how many records there are and what they take in the stream.
type Count struct {
	Records int
	Bytes   int64
}

// String says it in one line.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s guest", s.Kind)
	if s.Name != "" {
		fmt.Fprintf(&b, " %q", s.Name)
	}
	fmt.Fprintf(&b, ", %d pages (%d MiB)", s.Pages, s.Pages*abi.PageSize>>20)
	if s.Verified > 0 {
		fmt.Fprintf(&b, " and %d to compare", s.Verified)
	}
	if s.Checkpoints > 0 {
		fmt.Fprintf(&b, ", %d checkpoints", s.Checkpoints)
	}
	fmt.Fprintf(&b, ", %d records, %d bytes, libxc version %d, ", s.Records, s.Bytes, s.Header.Version)
	if s.Header.XenMajor == 0 {
		return b.String() + "converted from a legacy stream"
	}
	fmt.Fprintf(&b, "saved by Xen %d.%d", s.Header.XenMajor, s.Header.XenMinor)
	return b.String()
}

// Verify reads the stream in r up to its end, holds it to everything that the
// formats ask for, and says what is in it. Beyond what a Reader checks, the pieces
// of an HVM context must form a chain, the configuration must name the kind of
// guest that the stream holds, and a TOOLSTACK record is refused, as every restore
// does. The error is a Reader's.
func Verify(r io.Reader, o Options) (*Summary, error) {
	return walk(r, o, func(*Summary, Record) error { return nil })
}

// walk reads a stream, checks it and calls visit for all that is in it.
func walk(src io.Reader, o Options, visit func(*Summary, Record) error) (*Summary, error) {
	s := &Summary{Types: map[Type]Count{}}
	for r := NewReader(src, o); ; {
		rec, err := r.Next()
		s.Bytes = r.Offset()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		if err := s.check(rec.Body); err != nil {
			return s, &Error{rec.Index, rec.Body.Type(), rec.Offset, err}
		}
		s.add(rec)
		if err := visit(s, rec); err != nil {
			return s, err
		}
	}
}

// check looks deeper into a body than a Reader does.
func (s *Summary) check(b Body) error {
	switch b := b.(type) {
	case *XLHeader:
		return s.configured(b)
	case *LibxcHeader:
		return s.headed(b)
	case HVMContext:
		for _, err := range b.All() {
			if err != nil {
				return err
			}
		}
	case Toolstack:
		return bad("no release restores this record any more")
	case *EmulatorStore, *EmulatorContext:
		if s.config != "" && s.config != "hvm" {
			return bad("a %s guest has no emulator", strings.ToUpper(s.config))
		}
	}
	return nil
}

// configured takes name and kind of the guest from its configuration.
func (s *Summary) configured(h *XLHeader) error {
	var config struct {
		CInfo struct {
			Type string `json:"type"`
			Name string `json:"name"`
		} `json:"c_info"`
	}
	if len(h.Config) == 0 {
		return nil
	}
	if err := json.Unmarshal(h.JSON(), &config); err != nil {
		return bad("the configuration: %v", err)
	}
	s.Name, s.config = config.CInfo.Name, config.CInfo.Type
	switch s.config {
	case "pv", "pvh", "hvm":
		return nil
	}
	return bad("the configuration is of a guest of type %q", s.config)
}

// headed compares the kind of guest with the configuration's.
func (s *Summary) headed(h *LibxcHeader) error {
	s.Header = *h
	switch {
	case s.config != "" && (s.config == "pv") != (h.Guest == GuestPV):
		return bad("the state of a guest of type %v, but the configuration is of one of type %s", h.Guest, s.config)
	case s.config != "":
		s.Kind = strings.ToUpper(s.config)
	case h.Guest == GuestPV:
		s.Kind = "PV"
	default:
		s.Kind = "PVH or HVM"
	}
	return nil
}

// add counts rec.
func (s *Summary) add(rec Record) {
	t := rec.Body.Type()
	c := s.Types[t]
	s.Types[t] = Count{c.Records + 1, c.Bytes + rec.Size()}
	if !t.IsHeader() {
		s.Records++
	}
	if t == TypeCheckpoint {
		s.Checkpoints++
	}
	d, ok := rec.Body.(*PageData)
	if !ok {
		return
	}
	for _, t := range d.Types {
		s.PageTypes[t]++
	}
	if n := uint64(len(d.Data) / abi.PageSize); d.Verify {
		s.Verified += n
	} else {
		s.Pages += n
	}
}

// Detect tells by its first bytes which layer the stream in r begins with, and
// returns a reader of all of it.
func Detect(r io.Reader) (io.Reader, Layer, error) {
	b := make([]byte, 8)
	n, err := io.ReadFull(r, b)
	all := io.MultiReader(strings.NewReader(string(b[:n])), r)
	switch {
	case n == len(b) && string(b) == libxlIdent:
		return all, LayerLibxl, nil
	case string(b) == "\xff\xff\xff\xff\xff\xff\xff\xff":
		return all, LayerLibxc, nil
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil // left to the Reader, which knows how to say it
	}
	return all, LayerXL, err
}
