package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// chunk is how much is read and written at a time.
const chunk = 256 << 10

// patience is how long the other side may say nothing.
const patience = 3 * time.Minute

// listen serves streams, one after the other, and echoes datagrams.
func listen(addr string) error {
	go func() { panic(echo(addr)) }() // there is nothing to go on for without
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if err := serve(conn); err != nil && !errors.Is(err, io.EOF) { // somebody who only knocked
			fmt.Println("load:", err)
		}
		conn.Close()
	}
}

// serve does what the first line of a connection asks for.
func serve(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	in := bufio.NewReaderSize(conn, chunk)
	line, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	var what string
	var n int
	if _, err := fmt.Sscanf(line, "%s %d\n", &what, &n); err != nil {
		return fmt.Errorf("request %q: %w", line, err)
	}
	if _, err := fmt.Fprintln(conn, "ready"); err != nil {
		return err
	}
	if what == "source" {
		return fill(conn, n)
	}
	if err := drain(in, n); err != nil {
		return err
	}
	_, err = fmt.Fprintln(conn, "done")
	return err
}

// askStream has n bytes go to the listener ("sink") or come from there ("source"). A
// sink's time ends when all has arrived.
func askStream(addr, what string, n int) (time.Duration, error) {
	conn, err := dial(addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	in := bufio.NewReaderSize(conn, chunk)
	if _, err := fmt.Fprintf(conn, "%s %d\n", what, n); err != nil {
		return 0, err
	}
	if line, err := in.ReadString('\n'); err != nil || line != "ready\n" {
		return 0, fmt.Errorf("%s says %q: %w", addr, line, err)
	}
	begin := time.Now()
	if what == "source" {
		err = drain(in, n)
	} else if err = fill(conn, n); err == nil {
		_, err = in.ReadString('\n')
	}
	return time.Since(begin), err
}

// dial waits for the listener: the interface may be a moment old.
func dial(addr string) (net.Conn, error) {
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", addr, 2*time.Second)
		if err == nil || time.Now().After(end) {
			return conn, err
		}
	}
}

func fill(w io.Writer, n int) error {
	b := make([]byte, chunk)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	for ; n > 0; n -= len(b) {
		b = b[:min(n, len(b))]
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func drain(r io.Reader, n int) error {
	b := make([]byte, chunk)
	for n > 0 {
		got, err := r.Read(b[:min(n, len(b))])
		if n -= got; err != nil && n > 0 {
			return fmt.Errorf("%d bytes are missing: %w", n, err)
		}
	}
	return nil
}
