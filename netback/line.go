package netback

// port is an event channel to the frontend, as backends.PolledChannel has it.
type port interface {
	FD() int
	Take() (bool, error)
	Unmask() error
	Notify() error
}

// line is an event channel of one goroutine's. After an event it is silent until it is
// opened again, so that a guest cannot make more work than is done (XSA-332).
type line struct {
	port   port
	silent bool
}

// take takes an event, if there is one.
func (l *line) take() error {
	came, err := l.port.Take()
	l.silent = l.silent || came
	return err
}

// open lets the next event come.
func (l *line) open() error {
	if !l.silent {
		return nil
	}
	l.silent = false
	return l.port.Unmask()
}
