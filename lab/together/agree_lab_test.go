package together

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/lab/dom0"
	"goxl/xenctrl"
	"goxl/xenstore"
)

// guest is a domain as xl list -l tells of it.
type guest struct {
	DomID  int `json:"domid"`
	Config struct {
		CInfo struct {
			Name string `json:"name"`
			UUID string `json:"uuid"`
		} `json:"c_info"`
		Disks []struct {
			VDev string `json:"vdev"`
			Path string `json:"pdev_path"`
		} `json:"disks"`
		NICs []struct {
			DevID int    `json:"devid"`
			MAC   string `json:"mac"`
		} `json:"nics"`
	} `json:"config"`
}

// agree checks, while nobody is at work, that both tools tell the same of all guests,
// that xenstore has just those with just their devices, that Xen has the same
// domains, and that files and loop devices are theirs.
func agree(t *testing.T, ours, genuine dom0.Tool) {
	t.Helper()
	a, b := genuine.Must(t, "list", "-l"), ours.Must(t, "list", "-l")
	if d := cmp.Diff(decode[[]any](t, a)[1:], decode[[]any](t, b)[1:]); d != "" { // without domain 0, see docs/coexistence.md
		t.Errorf("xl list -l (-genuine +ours):\n%s", d)
	}
	guests := slices.DeleteFunc(decode[[]guest](t, b), func(g guest) bool { return g.DomID == 0 })
	var ids, uuids, files, loops []string
	store := lookInto(t)
	for _, g := range guests {
		id := strconv.Itoa(g.DomID)
		ids, uuids = append(ids, id), append(uuids, g.Config.CInfo.UUID)
		files = append(files, fmt.Sprintf("userdata-d.%s.%s.libxl-json", id, g.Config.CInfo.UUID))
		loops = append(loops, g.agree(t, store)...)
	}
	same(t, "domains of Xen", ids, domainIDs(t))
	same(t, "/local/domain", ids, store.list("/local/domain", "0"))
	same(t, "/libxl", ids, store.list("/libxl", "0"))
	same(t, "/vm", uuids, store.list("/vm", "00000000-0000-0000-0000-000000000000"))
	for _, kind := range []string{"vbd", "vif", "console"} {
		same(t, "backends of "+kind, someOf(ids, store.list("/local/domain/0/backend/"+kind)), store.list("/local/domain/0/backend/"+kind))
	}
	have, err := filepath.Glob("/var/lib/xen/userdata-d.*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range have {
		have[i] = filepath.Base(have[i])
	}
	have = slices.DeleteFunc(have, func(f string) bool { return strings.HasPrefix(f, "userdata-d.0.") })
	same(t, "stored configurations", files, have)
	same(t, "loop devices", loops, loopDevices(t))
	notes, err := filepath.Glob("/run/goxl/creating/*")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "notes of creations", nil, notes)
}

// agree checks that the guest's devices in xenstore are those that xl list -l tells
// of, in all three places, and returns its loop devices.
func (g *guest) agree(t *testing.T, store look) (loops []string) {
	t.Helper()
	id := strconv.Itoa(g.DomID)
	who := g.Config.CInfo.Name + " (" + id + "): "
	same(t, who+"name", []string{g.Config.CInfo.Name}, []string{store.read("/local/domain/" + id + "/name")})
	same(t, who+"vm", []string{"/vm/" + g.Config.CInfo.UUID}, []string{store.read("/local/domain/" + id + "/vm")})
	var disks, nics []string
	for _, d := range g.Config.Disks {
		n := strconv.Itoa(51712 + 16*int(d.VDev[len(d.VDev)-1]-'a')) // xvda and so on
		disks = append(disks, n)
		back := "/local/domain/0/backend/vbd/" + id + "/" + n
		same(t, who+"file of "+d.VDev, []string{d.Path}, []string{store.read(back + "/params")})
		loops = append(loops, store.read(back+"/node"))
	}
	for _, n := range g.Config.NICs {
		nics = append(nics, strconv.Itoa(n.DevID))
		same(t, who+"address of "+nics[len(nics)-1], []string{n.MAC},
			[]string{store.read("/local/domain/0/backend/vif/" + id + "/" + strconv.Itoa(n.DevID) + "/mac")})
	}
	for kind, want := range map[string][]string{"vbd": disks, "vif": nics} {
		for _, dir := range []string{"/libxl/" + id + "/device/", "/local/domain/" + id + "/device/", "/local/domain/0/backend/"} {
			at := dir + kind
			if strings.Contains(dir, "backend") {
				at += "/" + id
			}
			same(t, who+at, want, store.list(at))
		}
	}
	return loops
}

// same compares two sets.
func same(t *testing.T, what string, want, have []string) {
	t.Helper()
	want, have = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(have))
	if d := cmp.Diff(want, have); d != "" && len(want)+len(have) > 0 {
		t.Errorf("%s (-expected +there):\n%s", what, d)
	}
}

// someOf returns what of the second list is in the first: a guest need not have every
// kind of device.
func someOf(all, list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(all, s) })
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return v
}

// domainIDs are the guests that Xen has, dying ones included.
func domainIDs(t *testing.T) []string {
	t.Helper()
	h, err := xenctrl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	infos, err := h.Domains()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range infos {
		if id := infos[i].ID; id != 0 {
			ids = append(ids, strconv.Itoa(int(id)))
		}
	}
	return ids
}

// loopDevices are the loop devices in use.
func loopDevices(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("losetup", "-a").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^(/dev/loop\d+):`).FindAllStringSubmatch(string(out), -1) {
		all = append(all, m[1])
	}
	return all
}

// look reads xenstore for a test. What does not exist is empty.
type look struct {
	t     *testing.T
	store *xenstore.Client
}

func lookInto(t *testing.T) look {
	t.Helper()
	store, err := xenstore.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return look{t, store}
}

func (l look) read(path string) string {
	l.t.Helper()
	v, err := l.store.Read(context.Background(), path)
	l.check(err)
	return v
}

// list returns the names below a node, but for some.
func (l look) list(path string, but ...string) []string {
	l.t.Helper()
	names, err := l.store.List(context.Background(), path)
	l.check(err)
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(but, n) })
}

func (l look) check(err error) {
	l.t.Helper()
	if err != nil && !errors.Is(err, xenstore.ErrNotFound) {
		l.t.Fatal(err)
	}
}
