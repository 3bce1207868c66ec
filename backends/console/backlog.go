package console

// backlog keeps output for a terminal that nobody reads. When it grows past its
// limit and a quarter, the middle goes: half the limit stays of the oldest, and with
// it how things began, and half of the newest. It is not safe for concurrent use.
type backlog struct {
	limit   int
	keep    bool // lose nothing; whoever adds looks at Full first
	data    []byte
	Dropped uint64 // bytes lost so far
}

// Len returns how many bytes wait.
func (b *backlog) Len() int { return len(b.data) }

// Full says that the limit is reached.
func (b *backlog) Full() bool { return len(b.data) >= b.limit }

// Add appends p.
func (b *backlog) Add(p []byte) {
	b.data = append(b.data, p...)
	if b.keep || len(b.data) <= b.limit+b.limit/4 {
		return
	}
	over := len(b.data) - b.limit
	copy(b.data[b.limit/2:], b.data[b.limit/2+over:])
	b.data = b.data[:b.limit]
	b.Dropped += uint64(over)
}

// Peek returns the oldest bytes, valid until Add.
func (b *backlog) Peek() []byte { return b.data }

// Skip removes the n oldest bytes.
func (b *backlog) Skip(n int) {
	b.data = b.data[n:]
	if len(b.data) == 0 {
		b.data = nil // with what a burst took
	}
}
