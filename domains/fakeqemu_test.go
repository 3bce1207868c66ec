package domains

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goxl/domains/config"
	"goxl/xenstore"
)

// qemuStore tells this program that it is a QEMU, and where xenstore is.
const qemuStore = "GOXL_TEST_QEMU_STORE"

func TestMain(m *testing.M) {
	if store := os.Getenv(qemuStore); store != "" && len(os.Args) > 2 && os.Args[1] == "-xen-domid" {
		playQEMU(store, os.Args)
		return
	}
	os.Exit(m.Run())
}

// useQEMU gives the guest a disk that needs a QEMU, which this program plays.
func (w *world) useQEMU(s *config.Spec) {
	w.Helper()
	store := filepath.Join(w.dir, "xenstore")
	if os.Getenv(qemuStore) != store {
		if err := w.srv.Listen(store); err != nil {
			w.Fatal(err)
		}
		w.Setenv(qemuStore, store)
	}
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	s.BInfo.DeviceModel = config.Some(self)
	s.Disks = append(s.Disks, config.Disk{Path: config.Some(w.image("disk.qcow2")), VDev: config.Some("xvdc"), Format: config.FormatQCOW2, ReadWrite: 1})
}

// models returns the QEMUs of this world that live.
func (w *world) models() []string {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var list []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(b), "-xen-domid\x00") && strings.Contains(string(b), w.dir) {
			list = append(list, filepath.Base(filepath.Dir(name)))
		}
	}
	return list
}

// playQEMU says that it runs and answers at the toolstack's socket until it is
// killed.
func playQEMU(store string, args []string) {
	var socket string
	for _, a := range args {
		if _, path, ok := strings.Cut(a, "path="); ok && strings.Contains(a, "libxl-cmd") {
			socket, _, _ = strings.Cut(path, ",")
		}
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return
	}
	ctx := context.Background()
	c, err := xenstore.Dial(ctx, xenstore.WithPath(store))
	if err != nil || c.Write(ctx, "/local/domain/0/device-model/"+args[2]+"/state", "running") != nil {
		return
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		answerQMP(conn)
	}
}

func answerQMP(conn net.Conn) {
	defer conn.Close()
	fmt.Fprintln(conn, `{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}, "capabilities": []}}`)
	for s := bufio.NewScanner(conn); s.Scan(); {
		var c struct {
			Execute string
			ID      json.Number
		}
		if json.Unmarshal(s.Bytes(), &c) != nil {
			return
		}
		value := "{}"
		if strings.HasPrefix(c.Execute, "query-chardev") {
			value = "[]"
		}
		fmt.Fprintf(conn, `{"return": %s, "id": %s}`+"\n", value, c.ID)
	}
}
