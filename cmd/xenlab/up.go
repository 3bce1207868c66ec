package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"goxl/lab"
	"goxl/lab/mini"
)

// nameFlag says which of the running labs is meant.
func nameFlag() cli.Flag {
	return &cli.StringFlag{Name: "name", Usage: "`NAME` of the lab; may be left out when there is only one"}
}

// hostFlag says which host of a lab is meant.
func hostFlag() cli.Flag {
	return &cli.IntFlag{Name: "host", Value: 1, Usage: "`NUMBER` of the host"}
}

func upCommand() *cli.Command {
	return &cli.Command{
		Name: "up", Usage: "Start a lab and leave it running",
		Flags: []cli.Flag{
			nameFlag(),
			&cli.StringSliceFlag{Name: "xen", Usage: "`RELEASE` of Xen: 4.14, 4.17 (unless told) or 4.20; per host when repeated"},
			&cli.IntFlag{Name: "hosts", Value: 1, Usage: "`NUMBER` of hosts on one network segment"},
			&cli.IntFlag{Name: "cpus", Value: 2, Usage: "`NUMBER` of processors of each host"},
			&cli.IntFlag{Name: "mem", Value: 3072, Usage: "`MIB` of memory of each host"},
			&cli.IntFlag{Name: "dom0-mem", Value: 1024, Usage: "`MIB` of it for dom0"},
			&cli.StringSliceFlag{Name: "xenstored", Usage: "oxenstored or xenstored, per host"},
			&cli.StringFlag{Name: "xen-args", Usage: "more of Xen's command line"},
		},
		Action: func(c *cli.Context) error {
			cache, err := lab.OpenCache(c.String("cache"))
			if err != nil {
				return err
			}
			show := newProgress(c.App.ErrWriter)
			defer show.Close()
			images, err := imagesOf(c.Context, cache, c.StringSlice("xen"), show)
			if err != nil {
				return err
			}
			l, err := lab.Up(c.Context, cache, images[0], lab.Options{
				Images: images,
				Name:   c.String("name"), Hosts: c.Int("hosts"), CPUs: c.Int("cpus"),
				MemMiB: c.Int("mem"), Dom0MiB: c.Int("dom0-mem"),
				Stores: c.StringSlice("xenstored"), XenArgs: c.String("xen-args"), Detached: true, Progress: show,
			})
			if err != nil {
				return err
			}
			l.Detach()
			for _, h := range l.Hosts {
				if err := mini.Install(c.Context, cache, h, show); err != nil {
					return fmt.Errorf("lab %s is up, but has no mini guest: %w", l.Name, err)
				}
			}
			show.Close()
			fmt.Fprintf(c.App.Writer, "lab %s is up: \"xenlab ssh --name %s\"; \"xenlab down %s\" ends it\n", l.Name, l.Name, l.Name)
			return nil
		},
	}
}

// imagesOf are the images of releases, or the usual one.
func imagesOf(ctx context.Context, cache *lab.Cache, releases []string, show lab.Progress) (images []*lab.Image, err error) {
	if len(releases) == 0 {
		releases = []string{lab.Xen417.Xen}
	}
	for _, name := range releases {
		release, err := lab.ParseRelease(name)
		if err != nil {
			return nil, err
		}
		image, err := cache.Image(ctx, release, show)
		if err != nil {
			return nil, err
		}
		images = append(images, image)
	}
	return images, nil
}

func downCommand() *cli.Command {
	return &cli.Command{
		Name: "down", Usage: "End a lab", ArgsUsage: "[NAME]",
		Flags: []cli.Flag{nameFlag(), &cli.BoolFlag{Name: "all", Usage: "end all labs of this machine"}},
		Action: func(c *cli.Context) error {
			cache, err := lab.OpenCache(c.String("cache"))
			if err != nil {
				return err
			}
			if !c.Bool("all") {
				return lab.Down(cache, cmp.Or(c.Args().First(), c.String("name")))
			}
			labs, err := lab.Running(cache)
			if err != nil {
				return err
			}
			for _, l := range labs {
				if err := lab.Down(cache, l.Name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func statusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "List the labs of this machine",
		Action: func(c *cli.Context) error {
			cache, err := lab.OpenCache(c.String("cache"))
			if err != nil {
				return err
			}
			labs, err := lab.Running(cache)
			if err != nil {
				return err
			}
			for _, l := range labs {
				note := ""
				if l.Left {
					note = ", left behind by a process that is gone"
				}
				fmt.Fprintf(c.App.Writer, "%s: Xen %s, up %s%s\n", l.Name, l.Xen, time.Since(l.Started).Round(time.Second), note)
				for _, h := range l.Hosts {
					state := fmt.Sprintf("process %d, ssh on port %d", h.PID, h.SSHPort)
					if !h.Alive {
						state = "dead"
					}
					fmt.Fprintf(c.App.Writer, "  host %d: %s, %s, console %s\n", h.Number, state, h.Store, h.ConsoleLog)
				}
			}
			if len(labs) == 0 {
				fmt.Fprintln(c.App.Writer, "no lab runs here")
			}
			return nil
		},
	}
}
