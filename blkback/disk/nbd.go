package disk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"goxl/blkback/disk/nbd"
)

// remote is a disk on an NBD server.
type remote struct {
	*nbd.Client
	readOnly bool
}

// openNBD connects to the export that a URI names: nbd://host:port/export or
// nbd+unix:///export?socket=path, as the NBD project describes them.
func openNBD(ctx context.Context, uri string, o Options) (Disk, Info, error) {
	network, address, export, err := parseNBD(uri)
	if err != nil {
		return nil, Info{}, err
	}
	c, err := nbd.Dial(ctx, network, address, export)
	if err != nil {
		return nil, Info{}, fmt.Errorf("open %s: %w", uri, err)
	}
	e := c.Export()
	if e.ReadOnly && !o.ReadOnly {
		c.Close()
		return nil, Info{}, fmt.Errorf("open %s: the server gives it for reading only: %w", uri, ErrReadOnly)
	}
	info := Info{
		Format: NBD, SectorSize: max(e.MinBlock, 512), PhysicalSectorSize: max(e.MinBlock, 4096),
		ReadOnly: o.ReadOnly,
	}
	if e.Trim {
		info.DiscardGranularity = max(e.MinBlock, 4096)
	}
	return &remote{c, o.ReadOnly}, info, nil
}

func parseNBD(uri string) (network, address, export string, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", "", "", fmt.Errorf("open nbd disk: %w", err)
	}
	export = strings.TrimPrefix(u.Path, "/")
	switch socket := u.Query().Get("socket"); {
	case u.Scheme == "nbd" && u.Hostname() != "" && socket == "":
		port := u.Port()
		if port == "" {
			port = "10809"
		}
		return "tcp", net.JoinHostPort(u.Hostname(), port), export, nil
	case u.Scheme == "nbd+unix" && u.Host == "" && socket != "":
		return "unix", socket, export, nil
	case u.Scheme == "nbds" || u.Scheme == "nbds+unix":
		return "", "", "", fmt.Errorf("open %s: NBD over TLS is not done: %w", uri, errors.ErrUnsupported)
	}
	return "", "", "", fmt.Errorf("open %q: an nbd disk is nbd://host:port/export or nbd+unix:///export?socket=path", uri)
}

func (d *remote) Size() int64 { return d.Client.Size() &^ 511 }

func (d *remote) ReadAt(p []byte, off int64) (int, error) {
	if err := checkRange("read", off, int64(len(p)), d.Size()); err != nil {
		return 0, err
	}
	return d.Client.ReadAt(p, off)
}

func (d *remote) WriteAt(p []byte, off int64) (int, error) {
	if d.readOnly {
		return 0, ErrReadOnly
	}
	if err := checkRange("write", off, int64(len(p)), d.Size()); err != nil {
		return 0, err
	}
	return d.Client.WriteAt(p, off)
}

func (d *remote) Discard(off, n int64) error {
	if d.readOnly {
		return ErrReadOnly
	}
	if err := checkRange("discard", off, n, d.Size()); err != nil {
		return err
	}
	return d.Client.Discard(off, n)
}
