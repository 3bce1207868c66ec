package console

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// LogOptions say how log files are written.
type LogOptions struct {
	Timestamps    bool  // before each line
	ReplaceEscape bool  // write the escape character as a dot
	MaxBytes      int64 // rotate a file that reaches this; 0: never
	Keep          int   // rotated files, NAME.1 to NAME.Keep
}

// logOpened is the line with which a log with timestamps begins.
const logOpened = "Logfile Opened\n"

// logFile is a log that is appended to. It is not safe for concurrent use. Its
// errors come with every write that fails; the next one tries again.
type logFile struct {
	path  string
	opt   LogOptions
	f     *os.File
	size  int64
	found int64 // the size when it was opened first

	midLine    bool // the last byte written was not the end of a line
	skipReturn bool // after the end of a line: its carriage returns are left out
	buf        []byte
	now        func() time.Time
}

// openLog opens the log at path for appending.
func openLog(path string, opt LogOptions, now func() time.Time) (*logFile, error) {
	l := &logFile{path: path, opt: opt, now: now, found: -1}
	return l, l.open()
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open log: %w", errors.Join(err, f.Close()))
	}
	l.f, l.size = f, info.Size()
	if l.found < 0 {
		l.found = l.size
	}
	if l.opt.Timestamps {
		l.midLine = false
		return l.put([]byte(logOpened))
	}
	return nil
}

// Reopen opens the log again at path, after somebody moved it away or because it is
// to go on under another name.
func (l *logFile) Reopen(path string) error {
	err := l.Close()
	l.path = path
	return errors.Join(err, l.open())
}

// Write appends p.
func (l *logFile) Write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if l.f == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if l.opt.MaxBytes > 0 && l.size > 0 && l.size+int64(len(p)) > l.opt.MaxBytes {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	return l.put(p)
}

func (l *logFile) put(p []byte) error {
	b := p
	if l.opt.Timestamps || l.opt.ReplaceEscape {
		b = l.format(p)
	}
	n, err := l.f.Write(b)
	l.size += int64(n)
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// format returns p with what the options ask for, valid until the next call.
func (l *logFile) format(p []byte) []byte {
	l.buf = l.buf[:0]
	if !l.opt.Timestamps {
		l.buf = append(l.buf, p...)
	} else {
		stamp := l.now().Format("[2006-01-02 15:04:05] ")
		for len(p) > 0 {
			if l.skipReturn {
				if p = bytes.TrimLeft(p, "\r"); len(p) == 0 {
					break
				}
				l.skipReturn = false
			}
			line := p
			if end := bytes.IndexByte(p, '\n'); end >= 0 {
				line = p[:end+1]
			}
			if !l.midLine {
				l.buf = append(l.buf, stamp...)
			}
			l.buf = append(l.buf, line...)
			l.skipReturn = line[len(line)-1] == '\n'
			l.midLine = !l.skipReturn
			p = p[len(line):]
		}
	}
	if l.opt.ReplaceEscape {
		for i, c := range l.buf {
			if c == 0x1b {
				l.buf[i] = '.'
			}
		}
	}
	return l.buf
}

// rotate moves the file to NAME.1, that to NAME.2 and so on, and begins a new one.
func (l *logFile) rotate() error {
	if err := l.Close(); err != nil {
		return err
	}
	if l.opt.Keep < 1 {
		if err := os.Remove(l.path); err != nil {
			return fmt.Errorf("rotate log: %w", err)
		}
		return l.open()
	}
	for n := l.opt.Keep; n > 0; n-- {
		from := l.path
		if n > 1 {
			from = fmt.Sprintf("%s.%d", l.path, n-1)
		}
		err := os.Rename(from, fmt.Sprintf("%s.%d", l.path, n))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("rotate log: %w", err)
		}
	}
	return l.open()
}

// Close closes the file. It may be called twice.
func (l *logFile) Close() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

// logPath is the log of a guest called name. A name is the toolstack's word, but one
// with a slash must not lead elsewhere.
func logPath(dir, name, suffix string) string {
	return filepath.Join(dir, "guest-"+fileName(name)+suffix+".log")
}

// fileName is name as a file may be called.
func fileName(name string) string {
	return strings.NewReplacer("/", "%2F", "\x00", "%00").Replace(name)
}
