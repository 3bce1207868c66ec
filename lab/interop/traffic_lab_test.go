package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// busy is what a guest does that is moved: it counts, writes each number to its disk,
// brings it there, and tells it over one TCP connection; now and then it looks whether
// a file in its memory is still the same. The disk that holds this is filled up with
// empty lines.
const busy = `
dd if=/dev/urandom of=/tmp/kept bs=1M count=8 2>/dev/null
sum=$(md5sum /tmp/kept)
i=0
while :; do
	i=$((i + 1))
	printf '%-511d\n' $i >/tmp/block
	dd if=/tmp/block of=/dev/xvda bs=512 seek=$((i % SLOTS)) conv=notrunc,fsync 2>/tmp/said || echo "disk: $(cat /tmp/said)"
	echo $i
	[ $((i % 64)) -gt 0 ] || [ "$sum" = "$(md5sum /tmp/kept)" ] || echo "memory: the file is another"
done | nc 10.77.0.1 PORT
echo "goxl-guest: the connection is lost"
`

// slots is how many numbers the disk keeps.
const slots = 512

// busyGuest writes the configuration of a guest of Debian's kernel that is busy.
func busyGuest(t *testing.T, kind string, port int) *guest {
	t.Helper()
	g := newGuest(t, "iop-busy-"+kind, kind)
	script := strings.NewReplacer("SLOTS", strconv.Itoa(slots), "PORT", strconv.Itoa(port)).Replace(busy)
	if err := os.WriteFile(g.spare, []byte(script+strings.Repeat("\n", 64<<10-len(script))), 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg := strings.NewReplacer(
		`extra = "console=hvc0"`, `extra = "console=hvc0 goxl.ip=10.77.0.77/24 goxl.run=/dev/xvdb"`,
		"memory = 192\n", "memory = 128\n", "maxmem = 256\n", "", "maxvcpus = 2\n", "",
		"raw,xvda,rw\"", "raw,xvda,rw\", \""+g.spare+",raw,xvdb,ro\"").Replace(string(text))
	if err := os.WriteFile(g.cfg, []byte(cfg), 0o644); err != nil {
		t.Fatal(err)
	}
	return g
}

// counter follows what the guest tells.
type counter struct {
	mu   sync.Mutex
	n    int // the last number
	at   time.Time
	gap  time.Duration // the longest between two numbers
	err  error         // what was said that is no next number, or that the connection ended
	from net.Listener
	conn net.Conn
	done chan struct{}
}

// follow takes one connection and reads it until its end, or until stop.
func follow(t *testing.T) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "10.77.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{from: l, done: make(chan struct{})}
	t.Cleanup(c.stop)
	go func() {
		defer close(c.done)
		conn, err := l.Accept()
		if err != nil {
			c.end(err)
			return
		}
		c.mu.Lock()
		c.conn = conn
		c.mu.Unlock()
		defer conn.Close()
		for lines := bufio.NewScanner(conn); ; {
			if !lines.Scan() {
				c.end(fmt.Errorf("the connection ended: %v", lines.Err()))
				return
			}
			c.line(lines.Text())
		}
	}()
	return c
}

// stop ends the connection: a guest that is gone does not.
func (c *counter) stop() {
	c.from.Close()
	c.mu.Lock()
	if c.conn != nil {
		c.conn.Close()
	}
	c.mu.Unlock()
	<-c.done
}

func (c *counter) port() int { return c.from.Addr().(*net.TCPAddr).Port }

func (c *counter) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *counter) line(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if n, err := strconv.Atoi(text); err != nil || n != c.n+1 {
		if c.err == nil {
			c.err = fmt.Errorf("after %d the guest says %q", c.n, text)
		}
		return
	}
	if !c.at.IsZero() {
		c.gap = max(c.gap, now.Sub(c.at))
	}
	c.n, c.at = c.n+1, now
}

// look returns the last number, and the longest gap since the last look.
func (c *counter) look() (n int, gap time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gap, c.gap = c.gap, 0
	return c.n, gap, c.err
}

// goesOn waits until the guest has counted some numbers more, on the same connection,
// and returns the longest gap meanwhile.
func (c *counter) goesOn(t *testing.T, after string) time.Duration {
	t.Helper()
	const more = 20
	begin, longest, err := c.look()
	eventually(t, dom0.Patience, "the guest to go on "+after, func() bool {
		n, gap, e := c.look()
		longest, err = max(longest, gap), e
		return err != nil || n >= begin+more
	})
	if err != nil {
		t.Fatalf("%s: %v", after, err)
	}
	return longest
}

// TestLabTraffic moves Debian's kernel while it writes to its disk and tells of it over
// TCP: by files between both tools, then live, then quickly. The connection lasts, no
// number is left out, and every one that was told is on the disk in the end.
func TestLabTraffic(t *testing.T) {
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	for _, kind := range []string{"pvh", "pv"} {
		if !dom0.Full() && (kind != "pvh" || os.Getenv("GOXL_XEN") != "4.17") {
			continue // it takes minutes
		}
		t.Run(kind, func(t *testing.T) {
			defer dom0.Leftovers(t)()
			c := follow(t)
			g := busyGuest(t, kind, c.port())
			t.Cleanup(func() { g.clear(t, genuine) })
			ours.Must(t, "create", g.cfg)
			c.goesOn(t, "after its start")
			byFile(t, g, ours, genuine)
			t.Logf("saved by ours, restored by genuine: longest gap %s", c.goesOn(t, "after ours and genuine"))
			byFile(t, g, genuine, ours)
			t.Logf("saved by genuine, restored by ours: longest gap %s", c.goesOn(t, "after genuine and ours"))
			if refusal := dom0.LogDirty(t, g.id(t, ours)); refusal == nil || kind == "pvh" {
				ours.Must(t, "migrate", "-s", "", g.name, ours.Path+" migrate-receive")
				t.Logf("migrated live: longest gap %s", c.goesOn(t, "after a live migration"))
			} else {
				t.Logf("not migrated live: %v", refusal)
			}
			quickly(t, g, ours)
			c.goesOn(t, "after a quick migration")
			predicted, measured := quickly(t, g, ours)
			t.Logf("migrated quickly: %s predicted, %s measured, longest gap %s", predicted, measured, c.goesOn(t, "after another one"))
			if measured > 5*predicted || predicted > 5*measured {
				t.Errorf("a pause of %s was predicted, and was %s", predicted, measured)
			}
			ours.Must(t, "destroy", g.name)
			c.stop()
			onDisk(t, g, c)
		})
	}
}

// byFile saves the guest and restores it. What it never used are holes in our file.
func byFile(t *testing.T, g *guest, from, to dom0.Tool) {
	t.Helper()
	file := filepath.Join(filepath.Dir(g.cfg), "saved")
	from.Must(t, "save", g.name, file)
	var st unix.Stat_t
	if err := unix.Stat(file, &st); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s wrote %d MiB, which take %d on the disk", from.Name, st.Size>>20, st.Blocks>>11)
	if from.Name == "ours" && st.Blocks*512 > st.Size*3/4 {
		t.Errorf("%d bytes take %d on the disk: no holes", st.Size, st.Blocks*512)
	}
	to.Must(t, "restore", file)
	os.Remove(file)
}

var pauseSaid = regexp.MustCompile(`(?s)will pause for about (\d+) (ms|s|min):.*as the last time.*paused for (\d+) ms`)

// quickly suspends the guest, moves and resumes it, and returns how long a pause was
// predicted from the last one, and measured; 0 when there was no last one.
func quickly(t *testing.T, g *guest, x dom0.Tool) (predicted, measured time.Duration) {
	t.Helper()
	r := x.Run(t, dom0.Patience, "migrate", "-s", "", "--quick", g.name, x.Path+" migrate-receive")
	if r.Code != 0 {
		t.Fatalf("exit %d\n%s", r.Code, r.Stderr)
	}
	m := pauseSaid.FindStringSubmatch(r.Stderr)
	if m == nil {
		t.Log(r.Stderr)
		return 0, 0
	}
	unit := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "min": time.Minute}[m[2]]
	return time.Duration(number(t, m[1])) * unit, time.Duration(number(t, m[3])) * time.Millisecond
}

// onDisk looks whether the disk has all the numbers that were told last.
func onDisk(t *testing.T, g *guest, c *counter) {
	t.Helper()
	disk, err := os.ReadFile(g.disk)
	if err != nil {
		t.Fatal(err)
	}
	last, _, _ := c.look()
	missing := 0
	for n := max(1, last-slots+2); n <= last; n++ { // the guest may have written one more
		at := n % slots * 512
		if got := string(bytes.TrimRight(disk[at:at+512], " \n")); got != strconv.Itoa(n) {
			missing++
			t.Logf("block %d holds %.20q, want %d", n%slots, got, n)
		}
	}
	if missing > 0 || last == 0 {
		t.Errorf("%d of the last numbers up to %d are not on the disk", missing, last)
	}
	t.Logf("%d numbers were told, and the last are on the disk", last)
}
