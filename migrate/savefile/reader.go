package savefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"goxl/migrate/stream"
	"goxl/migrate/transport"
)

// Reader gives the plain stream of a saved guest. It reads no more than up to its end,
// trusts nothing, and is for one goroutine.
type Reader struct {
	io.Reader                   // the plain stream
	packed    *transport.Reader // nil: nothing is packed, or not yet reached
	whole     bool              // packed from the first byte: a migration between two of ours
	flagged   bool              // packed behind the configuration
}

// Open looks at how the stream in src begins. It may be one of xl, plain or
// compressed, one of libxl or libxc, or one that was packed for a migration. What
// follows is read as the Reader is.
func Open(src io.Reader) (*Reader, error) {
	plain, packed, err := transport.Detect(src)
	if err != nil {
		return nil, err
	}
	if packed != nil {
		return &Reader{Reader: packed, packed: packed, whole: true}, nil
	}
	head := make([]byte, stream.XLHeaderSize)
	n, err := readStart(plain, head)
	if err != nil {
		return nil, err
	}
	if n < len(head) || !isHeader(head) || flags(head)&FlagPacked == 0 {
		return &Reader{Reader: io.MultiReader(bytes.NewReader(head[:n]), plain)}, nil
	}
	setFlags(head, flags(head)&^FlagPacked)
	r := &Reader{flagged: true}
	r.Reader = io.MultiReader(bytes.NewReader(head), io.LimitReader(plain, int64(optional(head))), &behind{r: r, src: plain})
	return r, nil
}

// readStart fills b as far as there is something to fill it with; that there is less
// is for the reader of the stream to tell.
func readStart(src io.Reader, b []byte) (int, error) {
	// Only as much as the shortest of all streams has may be asked for at once: what
	// is not of xl may have no more, and a pipe would be waited for.
	n, err := io.ReadFull(src, b[:8])
	if err == nil && bytes.HasPrefix([]byte(stream.XLMagic), b[:8]) {
		var more int
		more, err = io.ReadFull(src, b[8:])
		n += more
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

// Compressed reports whether the file says that it is compressed.
func (r *Reader) Compressed() bool { return r.flagged }

// Packed reports whether anything in the stream is packed.
func (r *Reader) Packed() bool { return r.flagged || r.whole }

// Finish fails when a packed stream goes on behind what was read, or was cut off
// there. Of a plain one nothing can be said.
func (r *Reader) Finish() error {
	if r.flagged && r.packed == nil {
		return fmt.Errorf("compressed saved guest: %w: it ends with its configuration", transport.ErrDamaged)
	}
	if r.packed == nil {
		return nil
	}
	return r.packed.Finish()
}

// behind is what stands packed behind the configuration.
type behind struct {
	r   *Reader
	src io.Reader
}

func (b *behind) Read(p []byte) (int, error) {
	if b.r.packed == nil {
		_, packed, err := transport.Detect(b.src)
		switch {
		case err != nil:
			return 0, err
		case packed == nil:
			return 0, fmt.Errorf("compressed saved guest: %w: nothing packed stands behind its configuration", transport.ErrDamaged)
		}
		b.r.packed = packed
	}
	return b.r.packed.Read(p)
}
