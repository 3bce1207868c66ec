package qcow2

import (
	"errors"
	"fmt"
	"io"
)

// File is where an image lies. All methods may be called by many goroutines at once.
type File interface {
	// ReadAt and WriteAt are as in package io.
	io.ReaderAt
	io.WriterAt
	// Flush returns when all that was written would survive a loss of power.
	Flush() error
	// Discard gives room back; what was there is undefined afterwards.
	Discard(off, n int64) error
	// Zero makes a range read as zeroes.
	Zero(off, n int64) error
	// Grow makes the file longer, with zeroes, or returns an error that matches
	// ENOSPC if it cannot.
	Grow(size int64) error
	Size() int64
	Close() error
}

// Backing is what an image shows where it has no data of its own.
type Backing interface {
	io.ReaderAt // never called for more than Size
	Size() int64
	Close() error
}

// Errors that callers may act on.
var (
	// ErrCorrupt is an image whose content contradicts the format.
	ErrCorrupt = errors.New("the image is damaged")
	// ErrReadOnly is a write to an image that was opened for reading.
	ErrReadOnly = errors.New("the image is open for reading only")
	// ErrRange is a request beyond the end of the disk.
	ErrRange = errors.New("beyond the end of the disk")
	// ErrClosed is a request after Close.
	ErrClosed = errors.New("the image is closed")
)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// readFull reads all of p. What lies behind the end of the file but in its last
// cluster reads as zeroes.
func (im *Image) readFull(p []byte, off int64) error {
	n, err := im.f.ReadAt(p, off)
	if err == nil || n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) && off+int64(n) >= im.fileSize && off+int64(len(p)) <= im.end.Load() {
		clear(p[n:])
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d of the image: %w", len(p), off, err)
}

func (im *Image) writeFull(p []byte, off int64) error {
	if _, err := im.f.WriteAt(p, off); err != nil {
		return fmt.Errorf("write %d bytes at %d of the image: %w", len(p), off, err)
	}
	return nil
}
