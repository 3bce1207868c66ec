package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Streams are a command's standard streams; nil ones are empty or discarded.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// ExitError is what a command returns that ran and ended with another code than
// 0: errors.As finds it, Code is -1 when a signal ended it.
type ExitError struct {
	Command string
	Code    int
}

func (e *ExitError) Error() string { return fmt.Sprintf("%s: exit code %d", e.Command, e.Code) }

// sshConfig trusts only the image's key. The ciphers are ordered by what costs
// emulated processors least.
func (m *Image) sshConfig() (*ssh.ClientConfig, error) {
	key, err := os.ReadFile(m.ClientKey())
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.ClientKey(), err)
	}
	pub, err := os.ReadFile(m.HostKey())
	if err != nil {
		return nil, err
	}
	hostKey, _, _, _, err := ssh.ParseAuthorizedKey(pub)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.HostKey(), err)
	}
	return &ssh.ClientConfig{
		User:            "root",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.FixedHostKey(hostKey),
		Config:          ssh.Config{Ciphers: []string{"chacha20-poly1305@openssh.com", "aes128-ctr"}},
	}, nil
}

// client returns the host's ssh connection and makes it when there is none.
func (h *Host) client(ctx context.Context) (*ssh.Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		return h.conn, nil
	}
	config, err := h.Image.sshConfig()
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", h.SSHPort)
	var last error
	for {
		conn, err := dialSSH(ctx, addr, config)
		if err == nil {
			h.conn = conn
			return conn, nil
		}
		last = err
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("ssh to host %d: %w (last try: %w)", h.Number, ctx.Err(), last)
		case <-h.gone():
			return nil, fmt.Errorf("ssh to host %d: %w", h.Number, errGone)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func dialSSH(ctx context.Context, addr string, config *ssh.ClientConfig) (*ssh.Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	// QEMU accepts before dom0 listens: the handshake needs a limit of its own.
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	c, channels, requests, err := ssh.NewClientConn(conn, addr, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, channels, requests), nil
}

// Run runs a shell command in dom0. It returns an *[ExitError] when the command
// ended with another code than 0. When ctx ends first, the command is hung up
// on and ctx's error returned.
func (h *Host) Run(ctx context.Context, command string, s Streams) error {
	return h.session(ctx, command, s, nil)
}

// Output runs a shell command in dom0 and returns what it printed. An error
// carries the end of its standard error.
func (h *Host) Output(ctx context.Context, command string) (string, error) {
	var out, errs bytes.Buffer
	err := h.Run(ctx, command, Streams{Stdout: &out, Stderr: &errs})
	if text := strings.TrimSpace(errs.String()); err != nil && text != "" {
		err = fmt.Errorf("%w: %s", err, tail(text, 5))
	}
	return out.String(), err
}

// session runs a command in a channel of the host's connection; prepare may
// ask for a terminal before it starts.
func (h *Host) session(ctx context.Context, command string, s Streams, prepare func(*ssh.Session) error) error {
	client, err := h.client(ctx)
	if err != nil {
		return err
	}
	session, err := client.NewSession()
	if err != nil {
		h.drop(client)
		return fmt.Errorf("ssh to host %d: %w", h.Number, err)
	}
	defer session.Close()
	session.Stdout, session.Stderr = s.Stdout, s.Stderr
	if err := feed(session, s.Stdin); err != nil {
		return err
	}
	if prepare != nil {
		if err := prepare(session); err != nil {
			return err
		}
	}
	if command == "" {
		err = session.Shell()
	} else {
		err = session.Start(command)
	}
	if err != nil {
		return fmt.Errorf("run %q on host %d: %w", command, h.Number, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		session.Signal(ssh.SIGHUP)
		session.Close()
		return fmt.Errorf("run %q on host %d: %w", command, h.Number, ctx.Err())
	}
	var exit *ssh.ExitError
	switch {
	case errors.As(err, &exit) && exit.Signal() == "":
		return &ExitError{command, exit.ExitStatus()}
	case errors.As(err, &exit):
		return fmt.Errorf("%w (signal %s)", &ExitError{command, -1}, exit.Signal())
	case err != nil:
		return fmt.Errorf("run %q on host %d: %w", command, h.Number, err)
	}
	return nil
}

// feed copies in to the session. It does not use session.Stdin, because Wait
// would then wait for a reader that may never end, such as a terminal.
func feed(session *ssh.Session, in io.Reader) error {
	if in == nil {
		return nil
	}
	pipe, err := session.StdinPipe()
	if err != nil {
		return err
	}
	go func() {
		io.Copy(pipe, in)
		pipe.Close()
	}()
	return nil
}

// drop forgets a connection that turned out to be broken.
func (h *Host) drop(c *ssh.Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn == c {
		h.conn = nil
	}
	c.Close()
}
