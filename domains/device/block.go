package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"goxl/domains/host"
	"goxl/xenstore"
)

// ErrInUse says that a disk's target is in use in a way that would let two
// systems corrupt each other's data.
var ErrInUse = errors.New("in use")

// block does the work of Xen's hotplug script "block" for one disk.
type block struct {
	set    *Set
	dev    Device
	target string // params
	mode   string
	node   string // the loop device that add made
}

// add makes the target a block device if it is a file, checks that nobody else
// writes to it, and tells the backend its number. It reports false when the
// target is neither, which is for the script to judge.
func (b *block) add(ctx context.Context) (handled bool, err error) {
	if !filepath.IsAbs(b.target) {
		return false, nil
	}
	path, err := b.set.Host.EvalSymlinks(b.target)
	if err != nil {
		return true, fmt.Errorf("disk target: %w: %w", ErrTarget, err)
	}
	fi, err := b.set.Host.Stat(path)
	if err != nil {
		return true, fmt.Errorf("disk target: %w: %w", ErrTarget, err)
	}
	if !diskLike(fi.Mode()) {
		return false, nil
	}
	lock, err := b.set.Host.HotplugLock(ctx, "block")
	if err != nil {
		return true, err
	}
	defer lock.Unlock()
	if fi.Mode().IsRegular() {
		return true, b.addFile(ctx, path, fi)
	}
	num, err := b.set.Host.BlockNumber(path)
	if err != nil {
		return true, err
	}
	if err := b.checkSharing(ctx, path, []host.DevNumber{num}); err != nil {
		return true, err
	}
	dev := b.target // as the script: a link's target, but other names as given
	if l, err := b.set.Host.Lstat(dev); err == nil && l.Mode()&os.ModeSymlink != 0 {
		dev = path
	}
	return true, b.publish(ctx, dev, num, "")
}

func (b *block) addFile(ctx context.Context, path string, fi os.FileInfo) error {
	if err := b.awaited(ctx, b.set.Store); err != nil {
		return err
	}
	if b.write() && fi.Mode()&0o222 == 0 {
		return fmt.Errorf("disk target %s is a read-only file, so a guest cannot have it writable: %w", path, ErrTarget)
	}
	id, err := b.set.Host.IDOf(path)
	if err != nil {
		return err
	}
	loops, err := b.set.Host.Loops()
	if err != nil {
		return err
	}
	var nums []host.DevNumber
	for _, l := range loops {
		if l.File == id {
			nums = append(nums, l.Num)
		}
	}
	if len(nums) > 0 {
		if err := b.checkSharing(ctx, path, nums); err != nil {
			return err
		}
	}
	loop, err := b.set.Host.AttachLoop(path, !b.write())
	if err != nil {
		return err
	}
	defer loop.Close()
	num, err := b.set.Host.BlockNumber(loop.Path)
	if err != nil {
		return err
	}
	// Whoever removes the disk finds the loop device in xenstore. Before it stands
	// there the kernel frees it when we end, for whatever reason.
	if err := b.publish(ctx, loop.Path, num, loop.Path); err != nil {
		return err
	}
	b.node = loop.Path
	return loop.Keep()
}

// awaited fails when the backend does not wait for its device any more: it was given
// up meanwhile, and must not leave a loop device.
func (b *block) awaited(ctx context.Context, from interface {
	Read(ctx context.Context, path string) (string, error)
}) error {
	state, err := from.Read(ctx, b.dev.BackendPath()+"/state")
	if err != nil && !errors.Is(err, xenstore.ErrNotFound) {
		return err
	}
	if ParseState(state) != InitWait {
		return fmt.Errorf("%s was closed or removed while its disk was attached (state %q)", b.dev, state)
	}
	return nil
}

// publish tells the backend which device to serve, if it still waits for one. Whoever
// removes the disk asks the backend to close before he looks for the loop device: one
// of both sees the other.
func (b *block) publish(ctx context.Context, path string, num host.DevNumber, loop string) error {
	back := b.dev.BackendPath()
	return b.set.Store.Update(ctx, func(tx *xenstore.Tx) error {
		if err := b.awaited(ctx, tx); err != nil {
			return err
		}
		var w xenstore.Batch
		if loop != "" {
			w.Write(back+"/node", loop)
		}
		w.Write(back+"/physical-device", num.String())
		w.Write(back+"/physical-device-path", path)
		w.Write(back+"/hotplug-status", "connected")
		return tx.Send(ctx, &w)
	})
}

const loopPath = `^/dev/loop[0-9]{1,7}$`

// remove frees the loop device. The backend may still have it open; the kernel
// then frees it when that ends. It does so too when the file is gone meanwhile,
// where the script leaves the loop device behind.
func (b *block) remove(ctx context.Context) error {
	if b.node == "" {
		return nil
	}
	if !regexp.MustCompile(loopPath).MatchString(b.node) {
		return fmt.Errorf("%s: node %.64q is no loop device: %w", b.dev, b.node, errOdd)
	}
	lock, err := b.set.Host.HotplugLock(ctx, "block")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	return b.set.Host.DetachLoop(b.node, b.target)
}

// write reports whether the guest may write; force whether that shall be allowed
// even if others use the target, which a "!" in the mode says.
func (b *block) write() bool { return strings.Contains(b.mode, "w") }
func (b *block) force() bool { return b.write() && strings.Contains(b.mode, "!") }

// checkSharing refuses a target that is mounted here or used by another guest,
// unless all users only read. nums are the block devices that show the target.
func (b *block) checkSharing(ctx context.Context, path string, nums []host.DevNumber) error {
	if b.force() {
		return nil
	}
	has := func(n host.DevNumber) bool {
		for _, m := range nums {
			if n == m {
				return true
			}
		}
		return false
	}
	mounts, err := b.set.Host.Mounts()
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if !b.write() && m.ReadOnly || !filepath.IsAbs(m.Source) {
			continue
		}
		if num, err := b.set.Host.BlockNumber(m.Source); err == nil && has(num) {
			return fmt.Errorf("disk target %s is mounted on %s in this domain: %w; unmount it, or give the guest a read-only disk of a read-only mount", path, m.Dir, ErrInUse)
		}
	}
	users, err := b.users(ctx)
	if err != nil {
		return err
	}
	for _, u := range users {
		num, err := host.ParseDevNumber(u.num)
		if err != nil || !has(num) || !b.write() && !strings.Contains(u.mode, "w") {
			continue
		}
		if b.sameGuest(ctx, u) {
			continue
		}
		return fmt.Errorf("disk target %s is in use by domain %s (%s): %w; detach it there, or give both read-only disks", path, u.dom, u.vdev, ErrInUse)
	}
	return nil
}

// user is a guest's disk as its backend directory shows it.
type user struct{ dom, id, vdev, num, mode string }

// users returns all disks of this kind that this domain serves.
func (b *block) users(ctx context.Context) ([]user, error) {
	base := fmt.Sprintf("/local/domain/%d/backend/%s", b.set.Self, b.dev.BackendKind)
	doms, err := b.set.list(ctx, base)
	if err != nil {
		return nil, err
	}
	var users []user
	for _, dom := range doms {
		ids, err := b.set.list(ctx, base+"/"+dom)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			v, err := b.set.read(ctx, base+"/"+dom+"/"+id, "physical-device", "mode", "dev")
			if err != nil {
				return nil, err
			}
			if v["physical-device"] != "" {
				users = append(users, user{dom, id, v["dev"], v["physical-device"], v["mode"]})
			}
		}
	}
	return users, nil
}

// sameGuest reports whether the domain of u is our guest under another id, as while
// it migrates to its own host, or the stub domain of one of them. A domain whose
// nodes are gone already counts as our guest: it is on its way out. A driver domain
// may not ask who its guests are: there, as long as the other one lives, it is another,
// where Xen's script takes all for the same.
func (b *block) sameGuest(ctx context.Context, u user) bool {
	other := u.dom
	vm := func(dom string) string {
		v, _ := b.set.Store.Read(ctx, "/local/domain/"+dom+"/vm")
		return v
	}
	target := func(dom string) string { // whom a stub domain serves
		t, err := b.set.Store.Read(ctx, "/local/domain/"+dom+"/target")
		if err != nil || cInt(t) <= 0 {
			return ""
		}
		return vm(fmt.Sprint(cInt(t)))
	}
	self := fmt.Sprint(b.dev.Dom)
	theirs := vm(other)
	if theirs == "" {
		return b.set.Self == 0 || !b.lives(ctx, u)
	}
	for _, ours := range []string{vm(self), target(self)} {
		if ours != "" && (ours == theirs || ours == target(other)) {
			return true
		}
	}
	return false
}

// lives reports whether the guest's half of u is there, which its backend may read.
func (b *block) lives(ctx context.Context, u user) bool {
	_, err := b.set.Store.Read(ctx, fmt.Sprintf("/local/domain/%s/device/%s/%s/backend-id", u.dom, b.dev.BackendKind.frontend(), u.id))
	return err == nil
}
