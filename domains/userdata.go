package domains

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// The names of libxl's files about a domain.
const (
	jsonName    = "libxl-json"                // the configuration, with a NUL behind it
	updateName  = "xl"                        // raw text of config-update, used at the next reboot
	dataLock    = "domain-userdata-lock"      // short: around reading and writing the files
	devicesLock = "libxl-device-changes-lock" // long: around a hot-plug
	maxUserdata = 16 << 20                    // bytes we are willing to read of one file
)

// userdata are the files that libxl keeps about one domain. Their names hold the
// domain id and the uuid that Xen knows it by, so that files of a domain that is
// gone are never taken for those of its successor.
type userdata struct {
	m    *Manager
	id   abi.DomID
	uuid abi.UUID
}

// userdataOf looks up the uuid of domain id.
func (m *Manager) userdataOf(id abi.DomID) (*userdata, error) {
	d, err := m.info(id)
	if err != nil {
		return nil, err
	}
	return &userdata{m, id, d.UUID}, nil
}

// path is the file of the given class: d data, n new data, l lock.
func (u *userdata) path(class, name string) string {
	return filepath.Join(u.m.host.Lib, fmt.Sprintf("userdata-%s.%d.%s.%s", class, u.id, u.uuid, name))
}

// lock takes one of the domain's locks and waits as long as it must. When the
// domain died meanwhile, the lock is let go and the error's code is Locked.
func (u *userdata) lock(ctx context.Context, name string) (*host.Lock, error) {
	op := fmt.Sprintf("lock %s of domain %d", name, u.id)
	l, err := u.m.host.Lock(ctx, u.path("l", name))
	if err != nil {
		return nil, fail(Locked, u.id, op, err)
	}
	d, err := u.m.info(u.id)
	switch {
	case err == nil && d.UUID == u.uuid:
		return l, nil
	case err == nil || errors.Is(err, NoDomain):
		err = errors.New("the domain is gone")
	}
	return nil, fail(Locked, u.id, op, errors.Join(err, l.Unlock()))
}

// read returns a file's bytes and whether there is one. The lock is the caller's.
func (u *userdata) read(name string) ([]byte, bool, error) {
	path := u.path("d", name)
	fi, err := u.m.host.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if fi.Size() == 0 || fi.Size() > maxUserdata {
		return nil, false, fmt.Errorf("%s: a length of %d makes no sense", path, fi.Size())
	}
	data, err := u.m.host.ReadFile(path)
	return data, err == nil, err
}

// write replaces a file as a whole; no data removes it. The lock is the caller's.
func (u *userdata) write(name string, data []byte) error {
	if len(data) == 0 {
		return u.remove(name)
	}
	tmp := u.path("n", name)
	err := u.m.host.WriteFile(tmp, data, 0o600)
	if err == nil {
		err = u.m.host.Rename(tmp, u.path("d", name))
	}
	if err != nil {
		err = errors.Join(err, u.m.removeFile(tmp))
	}
	return err
}

func (u *userdata) remove(name string) error {
	err := u.m.host.Remove(u.path("d", name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// discard deletes every file about the domain, which may be gone.
func (u *userdata) discard(ctx context.Context) error {
	l, err := u.m.host.Lock(ctx, u.path("l", dataLock))
	if err != nil {
		return fail(Locked, u.id, fmt.Sprintf("lock %s of domain %d", dataLock, u.id), err)
	}
	return errors.Join(u.removeAll(), l.Unlock())
}

// removeAll deletes every file about the domain but the lock that the caller holds.
func (u *userdata) removeAll() error {
	names, err := u.m.host.Glob(u.path("?", "*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if strings.Contains(name, dataLock) {
			continue
		}
		if err := u.m.host.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
