package lab

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// sshdConfig: whoever has the image's key is root, and nobody else can log in.
const sshdConfig = `HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
MaxSessions 100
MaxStartups 100
AcceptEnv *
SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
Subsystem sftp internal-sftp
`

// customise turns an installed root into a dom0 and puts what boots it into dir.
func customise(dir, root string) error {
	if err := makeKeys(dir, root); err != nil {
		return err
	}
	init, err := files.ReadFile("files/labinit.sh")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text string
		perm os.FileMode
	}{
		{"labinit", string(init), 0o755},
		{"etc/ssh/sshd_config", sshdConfig, 0o644},
		{"etc/hostname", "xen1\n", 0o644},
		{"etc/hosts", "127.0.0.1 localhost\n10.77.0.1 xen1\n10.77.0.2 xen2\n10.77.0.3 xen3\n10.77.0.4 xen4\n", 0o644},
		{"etc/fstab", "", 0o644},
	} {
		if err := writeFile(filepath.Join(root, f.name), []byte(f.text), f.perm); err != nil {
			return err
		}
	}

	for _, c := range [][2]string{
		{"boot/xen-*-amd64.gz", filepath.Join(dir, "xen")},
		{"boot/vmlinuz-*", filepath.Join(dir, "vmlinuz")},
		{"boot/vmlinuz-*", filepath.Join(root, "opt/guest/vmlinuz")},
	} {
		if err := copyOne(filepath.Join(root, c[0]), c[1]); err != nil {
			return err
		}
	}
	for _, ramfs := range []struct {
		to, script string
		modules    []string
	}{
		{filepath.Join(dir, "initrd.img"), "dom0boot.sh", dom0Modules},
		{filepath.Join(root, "opt/guest/initrd.img"), "guestinit.sh", guestModules},
	} {
		data, err := initramfs(root, ramfs.script, ramfs.modules)
		if err != nil {
			return fmt.Errorf("make %s: %w", ramfs.to, err)
		}
		if err := writeFile(ramfs.to, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makeKeys creates the image's two ssh key pairs: of dom0 and of who logs in.
// Hosts of one lab can also log into each other.
func makeKeys(dir, root string) error {
	hostKey, hostPub, err := newKey()
	if err != nil {
		return err
	}
	clientKey, clientPub, err := newKey()
	if err != nil {
		return err
	}
	known := append([]byte("* "), hostPub...)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{filepath.Join(root, "etc/ssh/ssh_host_ed25519_key"), hostKey},
		{filepath.Join(root, "root/.ssh/id_ed25519"), clientKey},
		{filepath.Join(root, "root/.ssh/authorized_keys"), clientPub},
		{filepath.Join(root, "root/.ssh/known_hosts"), known},
		{filepath.Join(dir, "id_ed25519"), clientKey},
		{filepath.Join(dir, "host_ed25519.pub"), hostPub},
		{filepath.Join(dir, "known_hosts"), known},
	} {
		if err := writeFile(f.name, f.data, 0o600); err != nil {
			return err
		}
	}
	stale, _ := filepath.Glob(filepath.Join(root, "etc/ssh/ssh_host_*.pub"))
	for _, name := range stale { // of the key that the package made
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(root, "root/.ssh"), 0o700)
}

// newKey returns a private key in OpenSSH's format and its public line.
func newKey() (private, public []byte, err error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "goxl lab")
	if err != nil {
		return nil, nil, err
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(sshPub), nil
}
