package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"goxl/domains/config"
)

// readConf reads xl.conf. Without the file the defaults are used, with a word
// about it; a file that cannot be parsed is an error.
func (a *app) readConf() error {
	src, err := os.ReadFile(a.env.conf)
	if err != nil {
		fmt.Fprintf(a.env.stderr, "Failed to read config file: %s: %s\n", a.env.conf, strerror(err))
		return nil
	}
	o := config.Options{Release: a.host.configRelease()}
	if strings.Contains(string(src), "cpumask") { // which only means something on this host's CPUs
		if o, err = a.host.parseOptions(string(src), nil); err != nil {
			return err
		}
	}
	conf, warnings, err := config.ParseConf(a.env.conf, src, o)
	a.warn(warnings)
	if err != nil {
		return configFailure(err)
	}
	a.host.conf = conf
	return nil
}

// warn passes on what was doubtful in a configuration. The genuine xl's own
// warnings are printed as they are.
func (a *app) warn(warnings []config.Warning) {
	for _, w := range warnings {
		if w.Text != "" {
			fmt.Fprint(a.env.stderr, w.Text)
		} else {
			fmt.Fprintf(a.env.stderr, "xl: warning: %s [%s]\n", w, w.Code)
		}
	}
}

// configFailure gives an error of a configuration the genuine xl's text and exit
// status.
func configFailure(err error) error {
	var bad *config.Error
	if !errors.As(err, &bad) {
		return err
	}
	return &failure{status: bad.Exit, text: strings.TrimSuffix(bad.Text(), "\n"), cause: bad}
}

func (h *host) configRelease() config.Release {
	return config.Release{Major: 4, Minor: int(h.release)}
}

// parseOptions are what the meaning of a configuration depends on here. NUMA
// nodes are only looked up for one that names any.
func (h *host) parseOptions(src string, overrides []string) (config.Options, error) {
	phys, err := h.xen.PhysInfo()
	if err != nil {
		return config.Options{}, &failure{status: 1, cause: err}
	}
	o := config.Options{
		Release: h.configRelease(), Conf: h.conf, Overrides: overrides,
		Host: config.Host{MaxCPUs: int(phys.MaxCPUID) + 1, OnlineCPUs: int(phys.CPUs), MaxNodes: int(phys.MaxNodeID) + 1},
	}
	if !strings.Contains(src+strings.Join(overrides, " "), "node") {
		return o, nil
	}
	cpus, err := h.xen.CPUTopology()
	if err != nil {
		return o, &failure{status: 1, cause: err}
	}
	o.Host.NodeCPUs = make([]config.Bitmap, o.Host.MaxNodes)
	for cpu, c := range cpus {
		if int(c.Node) < o.Host.MaxNodes { // not of one that is absent
			o.Host.NodeCPUs[c.Node].Add(cpu)
		}
	}
	return o, nil
}
