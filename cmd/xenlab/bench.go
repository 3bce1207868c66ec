package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"goxl/lab"
	"goxl/lab/mini"
)

// kernelCache is where our xl keeps unpacked kernels: gone is cold.
const kernelCache = "/var/cache/goxl"

// samples are the times of one operation, by program.
type samples struct {
	op            string
	ours, genuine []time.Duration
}

// bench measures two programs in turn on one host.
type bench struct {
	host    *lab.Host
	show    *progress
	genuine string
	rows    []*samples
	weights []string // what stays behind for a crowd of guests
	growth  []string // time of the last create of a crowd over that of the first
}

const oursXL = "/opt/goxl/bin/xl"

func benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "Measure our xl and the genuine one side by side, into bench/table.md",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "xen", Value: lab.Xen417.Xen, Usage: "`RELEASE` of Xen"},
			&cli.IntFlag{Name: "rounds", Value: 5, Usage: "`NUMBER` of times to do everything"},
			&cli.StringFlag{Name: "out", Usage: "`FILE` of the table; default bench/table.md of the module"},
		},
		Action: runBench,
	}
}

func runBench(c *cli.Context) error {
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
	l, err := upWithPrograms(c.Context, cache, module, release, show)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := mini.Install(c.Context, cache, l.Hosts[0], show); err != nil {
		return err
	}
	b := &bench{host: l.Hosts[0], show: show, genuine: "/usr/lib/xen-" + release.Xen + "/bin/xl"}
	for i := range c.Int("rounds") {
		if err := b.round(c.Context, i, c.Int("rounds")); err != nil {
			return err
		}
	}
	for _, xl := range []string{oursXL, b.genuine} {
		done := show.Step(fmt.Sprintf("%d guests by %s", crowd, xl), time.Minute)
		err := b.scale(c.Context, xl)
		done(err)
		if err != nil {
			return err
		}
	}
	about, err := b.describe(c.Context)
	if err != nil {
		return err
	}
	show.Close()
	text := "# Ours and the genuine xl, alternating in one lab run\n\n" + about + "\n" + table(b.rows) + b.crowdText()
	fmt.Fprint(c.App.Writer, "\n"+text)
	file := c.String("out")
	if file == "" {
		file = filepath.Join(module, "bench", "table.md")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// round does everything once with either program. Who begins changes, so that
// what drifts hits both.
func (b *bench) round(ctx context.Context, i, n int) (err error) {
	done := b.show.Step(fmt.Sprintf("round %d of %d", i+1, n), 90*time.Second)
	defer func() { done(err) }()
	programs := []string{oursXL, b.genuine}
	if i%2 == 1 {
		slices.Reverse(programs)
	}
	for _, kind := range []string{"pvh", "pv"} {
		for _, state := range []string{"cold", "warm"} {
			for _, xl := range programs {
				if err := b.life(ctx, xl, kind, state); err != nil {
					return err
				}
			}
		}
		for _, xl := range programs {
			if err := b.moves(ctx, xl, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// life creates, lists and destroys a guest. "cold" empties our cache of
// unpacked kernels first; the genuine xl has none, so both count for it.
func (b *bench) life(ctx context.Context, xl, kind, state string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if state == "cold" && xl == oursXL {
		if _, err := b.host.Output(ctx, "rm -rf "+kernelCache); err != nil {
			return err
		}
	}
	for _, m := range []struct{ op, command string }{
		{fmt.Sprintf("create %s, %s", strings.ToUpper(kind), state), fmt.Sprintf("%s create -q /opt/goxl/examples/%s.cfg", xl, kind)},
		{"list, one guest", xl + " list"},
		{"destroy " + strings.ToUpper(kind), xl + " destroy " + kind},
	} {
		took, err := b.measure(ctx, m.command)
		if err != nil {
			return fmt.Errorf("%s: %w", m.op, err)
		}
		b.add(m.op, xl == oursXL, took)
	}
	// What follows the domain's death is not part of destroy for either.
	_, err := b.host.Output(ctx, fmt.Sprintf("while %s domid %s >/dev/null 2>&1; do sleep 0.2; done; sleep 1", b.genuine, kind))
	return err
}

// measure runs a command in dom0 and takes the time there, without ssh's.
func (b *bench) measure(ctx context.Context, command string) (time.Duration, error) {
	out, err := b.host.Output(ctx, fmt.Sprintf(
		"bash -c 's=$(date +%%s%%N); %s >/dev/null </dev/null; rc=$?; e=$(date +%%s%%N); echo $((e - s)); exit $rc'", command))
	if err != nil {
		return 0, err
	}
	var ns int64
	if _, err := fmt.Sscan(out, &ns); err != nil {
		return 0, fmt.Errorf("time of %q: %w", command, err)
	}
	return time.Duration(ns), nil
}

func (b *bench) add(op string, ours bool, took time.Duration) {
	i := slices.IndexFunc(b.rows, func(s *samples) bool { return s.op == op })
	if i < 0 {
		b.rows = append(b.rows, &samples{op: op})
		i = len(b.rows) - 1
	}
	if ours {
		b.rows[i].ours = append(b.rows[i].ours, took)
		return
	}
	b.rows[i].genuine = append(b.rows[i].genuine, took)
}

// describe says on what the times were taken.
func (b *bench) describe(ctx context.Context) (string, error) {
	const ask = `xl info | awk -F': *' '/^(xen_version|nr_cpus|total_memory)/ {sub(/ *$/, "", $1); printf "%s %s, ", $1, $2}'; uname -r`
	guest, err := b.host.Output(ctx, ask)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Emulated: %s (Linux in dom0). Underneath: %s. Guests of 192 MiB with a disk and a network device, from examples/. "+
		"On an emulated machine only the ratios mean anything.\n", strings.TrimSpace(guest), machineText()), nil
}

// machineText describes the machine that emulates.
func machineText() string {
	model, cpus := "unknown processor", 0
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "processor":
			cpus++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%s, %d processors, load %s at the end", model, cpus, first)
}

// table shows medians and ratios; below 1 ours is faster.
func table(rows []*samples) string {
	var b strings.Builder
	b.WriteString("| Operation | ours, median | genuine, median | ratio | samples |\n|---|---:|---:|---:|---:|\n")
	for _, s := range rows {
		ours, genuine := median(s.ours), median(s.genuine)
		ratio := "-"
		if ours > 0 && genuine > 0 {
			ratio = fmt.Sprintf("%.2f", float64(ours)/float64(genuine))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d+%d |\n", s.op, millis(ours), millis(genuine), ratio, len(s.ours), len(s.genuine))
	}
	return b.String()
}

func millis(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// median of d, the mean of the two in the middle when their number is even.
func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}
