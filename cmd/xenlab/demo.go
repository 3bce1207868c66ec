package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"goxl/lab"
	"goxl/lab/suite"
)

// scene is one thing that the demonstration shows.
type scene struct {
	title   string
	command string
	shown   string        // instead of the command, where that is a loop around it
	until   string        // a console is left at this text
	limit   time.Duration // the whole scene's
}

// scenes of a demonstration with the given xl.
func scenes(xl string) []scene {
	const short, long = time.Minute, 3 * time.Minute
	do := func(title, command string, limit time.Duration) scene {
		return scene{title: title, command: xl + " " + command, limit: limit}
	}
	// A guest that was just made, or made anew, has its console a moment later.
	console := func(name string) scene {
		command := xl + " console " + name
		return scene{"its console, until it is up", "until " + command + " 2>/dev/null; do sleep 0.5; done", command, "goxl-guest ready", long}
	}
	gone := func(name string) string {
		return fmt.Sprintf("; while %s domid %s >/dev/null 2>&1; do sleep 0.5; done", xl, name)
	}
	return []scene{
		do("a PVH guest", "create /opt/goxl/examples/pvh.cfg", long),
		console("pvh"),
		do("a PV guest", "create /opt/goxl/examples/pv.cfg", long),
		console("pv"),
		do("who runs here", "list", short),
		{title: "both are on the network", command: "ping -c 1 -q 10.77.0.101 && ping -c 1 -q 10.77.0.102", limit: short},
		do("another disk for the PVH guest, while it runs",
			"block-attach pvh format=raw,vdev=xvdb,access=rw,target=/var/lib/goxl/extra.img", short),
		do("its disks now", "block-list pvh", short),
		{title: "a reboot: the same guest under a new number", shown: xl + " reboot pvh", limit: long,
			command: "old=$(" + xl + " domid pvh); " + xl + " reboot pvh; " +
				"until new=$(" + xl + " domid pvh 2>/dev/null) && test \"$new\" != \"$old\"; do sleep 0.5; done; " +
				"echo \"pvh was domain $old and is domain $new\""},
		console("pvh"),
		{title: "the PV guest shuts down", shown: xl + " shutdown -w pv", command: xl + " shutdown -w pv" + gone("pv"), limit: long},
		{title: "the PVH guest is destroyed", shown: xl + " destroy pvh", command: xl + " destroy pvh" + gone("pvh"), limit: short},
		do("nobody left", "list", short),
	}
}

func demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "Show our xl at work on a real Xen",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "xen", Value: lab.Xen417.Xen, Usage: "`RELEASE` of Xen"},
			&cli.StringFlag{Name: "xl", Value: "/opt/goxl/bin/xl", Usage: "`PROGRAM` in dom0 to show: \"xl\" is the genuine one"},
		},
		Action: demo,
	}
}

func demo(c *cli.Context) error {
	begin := time.Now()
	module, err := moduleDir()
	if err != nil {
		return err
	}
	release, err := lab.ParseRelease(c.String("xen"))
	if err != nil {
		return err
	}
	cache, err := lab.OpenCache(c.String("cache"))
	if err != nil {
		return err
	}
	show := newProgress(c.App.ErrWriter)
	defer show.Close()
	l, err := upWithPrograms(c.Context, cache, module, release, 1, show)
	if err != nil {
		return err
	}
	defer l.Close()
	show.Close()
	return newStage(c.App.Writer, l.Hosts[0], begin).play(c.Context, scenes(c.String("xl")))
}

// upWithPrograms starts hosts that have our xl and the example guests in /opt/goxl. It is
// built while the host boots; an image that is missing is made first.
func upWithPrograms(ctx context.Context, cache *lab.Cache, module string, r lab.Release, hosts int, show *progress) (*lab.Lab, error) {
	image, err := cache.Image(ctx, r, show)
	if err != nil {
		return nil, err
	}
	dir, err := cache.TempDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	built := make(chan error, 1)
	go func() {
		done := show.Step("build our xl", 20*time.Second)
		err := suite.Programs(ctx, module, dir, "./cmd/xl")
		done(err)
		built <- err
	}()
	l, err := lab.Up(ctx, cache, image, lab.Options{Hosts: hosts, MemMiB: 3072, Progress: show})
	if err != nil {
		<-built
		return nil, err
	}
	if err := <-built; err != nil {
		return nil, errors.Join(err, l.Close())
	}
	done := show.Step("copy it to dom0", 5*time.Second)
	err = installAll(ctx, l, dir)
	done(err)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func installAll(ctx context.Context, l *lab.Lab, dir string) error {
	for _, h := range l.Hosts {
		if err := install(ctx, h, dir); err != nil {
			return err
		}
	}
	return nil
}

// install copies what [suite.Programs] built into dom0, and makes the disks of
// the example guests.
func install(ctx context.Context, h *lab.Host, dir string) error {
	for _, part := range []string{"bin", "examples"} {
		if err := h.Put(ctx, filepath.Join(dir, part), "/opt/goxl/"+part); err != nil {
			return err
		}
	}
	_, err := h.Output(ctx, "mkdir -p /var/lib/goxl && cd /var/lib/goxl && truncate -s 64M pvh.img pv.img extra.img")
	return err
}

// stage is where scenes are played: a host and a person who looks on.
type stage struct {
	out    io.Writer
	host   *lab.Host
	begin  time.Time
	strong func(string) string // for titles and commands
}

func newStage(out io.Writer, h *lab.Host, begin time.Time) *stage {
	strong := func(s string) string { return s }
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		strong = func(s string) string { return "\x1b[1m" + s + "\x1b[0m" }
	}
	return &stage{out, h, begin, strong}
}

func (s *stage) play(ctx context.Context, scenes []scene) error {
	for i, sc := range scenes {
		fmt.Fprintf(s.out, "\n%s\n", s.strong(fmt.Sprintf("[%s] %d/%d  %s", clock(time.Since(s.begin)), i+1, len(scenes), sc.title)))
		fmt.Fprintf(s.out, "dom0# %s\n", s.strong(cmp.Or(sc.shown, sc.command)))
		begin := time.Now()
		if err := s.scene(ctx, sc); err != nil {
			return fmt.Errorf("%s: %w", sc.title, err)
		}
		fmt.Fprintf(s.out, "      (%.1f s)\n", time.Since(begin).Seconds())
	}
	fmt.Fprintf(s.out, "\n%s\n", s.strong(fmt.Sprintf("[%s] done", clock(time.Since(s.begin)))))
	return nil
}

// shownLines of a console are enough to see that it is one.
const shownLines = 15

// scene runs the command and shows what it prints. A console is shown until
// its marker: its command would not end by itself.
func (s *stage) scene(ctx context.Context, sc scene) error {
	ctx, cancel := context.WithTimeout(ctx, sc.limit)
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := s.host.Run(ctx, sc.command, lab.Streams{Stdin: neverEnds{ctx}, Stdout: in, Stderr: in})
		in.Close()
		ended <- err
	}()
	seen, count := false, 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		last := sc.until != "" && strings.Contains(line, sc.until)
		if line != "" && !seen && (count < shownLines || last) {
			fmt.Fprintf(s.out, "      %s\n", line)
		}
		if count++; count == shownLines && sc.until != "" {
			fmt.Fprintln(s.out, "      ...")
		}
		if last {
			seen = true
			cancel() // hangs up, and ends the loop
		}
	}
	err := <-ended
	if seen && errors.Is(err, context.Canceled) {
		return nil
	}
	if sc.until != "" && !seen {
		return errors.Join(fmt.Errorf("%q was never seen", sc.until), err)
	}
	return err
}

// neverEnds is the standard input of a console that nobody types into.
type neverEnds struct{ ctx context.Context }

func (n neverEnds) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, io.EOF
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
