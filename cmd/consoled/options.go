package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"goxl/backends/console"
	"goxl/cmd/internal/getopt"
)

// Where the genuine daemon has its files.
const (
	defaultLogDir  = "/var/log/xen/console"
	defaultPIDFile = "/var/run/xen/xenconsoled.pid"
	defaultKeep    = 5 // rotated logs
)

// options are what the command line says.
type options struct {
	interactive, verbose bool
	help, version        bool
	pidFile              string
	console.Options
}

// errUsage ends a program whose options are wrong; the reason was told.
var errUsage = errors.New("wrong usage")

// parseOptions reads the arguments as the genuine daemon does: words that it does not
// know change nothing, an option that it does not know is the end.
func parseOptions(prog string, args []string, stderr io.Writer) (o options, err error) {
	o.pidFile, o.LogDir, o.TailDir = defaultPIDFile, defaultLogDir, console.TailDir
	o.GuestLog.Keep = defaultKeep
	complained := false
	s := getopt.Scanner{
		Letters: "hVvit:o:",
		Longs: []getopt.Long{
			getopt.Flag("help", 'h'), getopt.Flag("version", 'V'), getopt.Flag("verbose", 'v'),
			getopt.Flag("interactive", 'i'), getopt.Value("log", 'l'), getopt.Value("log-dir", 'r'),
			getopt.Value("pid-file", 'p'), getopt.Value("timestamp", 't'), getopt.Value("overflow-data", 'o'),
			getopt.Flag("replace-escape", 'e'),
			getopt.Value("max-log", 'M'), getopt.Value("keep-logs", 'N'), getopt.Value("keep-output", 'K'),
		},
		Set: o.set,
		Complain: func(format string, v ...any) {
			complained = true
			fmt.Fprintf(stderr, "%s: %s\n", prog, fmt.Sprintf(format, v...))
		},
	}
	_, err = s.Scan(args)
	switch {
	case errors.Is(err, errStop):
		err = nil
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", prog, err)
		complained = true
	}
	if complained {
		fmt.Fprintf(stderr, "Try `%s --help' for more information\n", prog)
		return o, errUsage
	}
	o.XenLog.MaxBytes, o.XenLog.Keep = o.GuestLog.MaxBytes, o.GuestLog.Keep
	return o, nil
}

// errStop ends the scan at -h and -V.
var errStop = errors.New("stop")

func (o *options) set(letter byte, arg string) (err error) {
	guest, xen, known := who(arg)
	switch letter {
	case 'h':
		o.help = true
		return errStop
	case 'V':
		o.version = true
		return errStop
	case 'v':
		o.verbose = true
	case 'i':
		o.interactive = true
	case 'l':
		o.GuestLogs, o.HypervisorLog = o.GuestLogs || guest, o.HypervisorLog || xen
	case 't':
		if arg == "none" || known {
			o.GuestLog.Timestamps = arg != "none" && (o.GuestLog.Timestamps || guest)
			o.XenLog.Timestamps = arg != "none" && (o.XenLog.Timestamps || xen)
		}
	case 'r':
		o.LogDir = arg
	case 'p':
		o.pidFile = arg
	case 'o':
		if arg == "keep" || arg == "discard" {
			o.KeepOverflow = arg == "keep"
		}
	case 'e':
		o.GuestLog.ReplaceEscape, o.XenLog.ReplaceEscape = true, true
	case 'M':
		o.GuestLog.MaxBytes, err = parseSize(arg)
	case 'N':
		if o.GuestLog.Keep, err = strconv.Atoi(arg); err != nil || o.GuestLog.Keep < 0 || o.GuestLog.Keep > 1000 {
			err = fmt.Errorf("--keep-logs=%s is not a number from 0 to 1000", arg)
		}
	case 'K':
		switch {
		case arg == "none":
			o.TailDir = ""
		case filepath.IsAbs(arg):
			o.TailDir = arg
		default:
			err = fmt.Errorf("--keep-output=%s is neither \"none\" nor a folder with its whole path", arg)
		}
	}
	return err
}

// who reads the words that say whose log is meant.
func who(s string) (guest, xen, known bool) {
	switch s {
	case "all":
		return true, true, true
	case "guest":
		return true, false, true
	case "hv":
		return false, true, true
	}
	return false, false, false
}

// parseSize reads a number of bytes, which may end in K, M or G.
func parseSize(s string) (int64, error) {
	digits, shift := s, 0
	for i, unit := range "KMG" {
		if d, ok := strings.CutSuffix(strings.ToUpper(s), string(unit)); ok {
			digits, shift = d, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("--max-log=%s is not a size such as 512K, 10M or 1G", s)
	}
	return n << shift, nil
}

const usageText = `Usage: %s [-h] [-V] [-v] [-i] [--log=none|guest|hv|all] [--log-dir=DIR] [--pid-file=PATH] [-t, --timestamp=none|guest|hv|all] [-o, --overflow-data=discard|keep] [--replace-escape]
  --replace-escape  - replace ESC character with dot when writing console log

Only in goxl:
  --max-log=SIZE    - begin a new log file when one reaches SIZE (512K, 10M, 1G)
  --keep-logs=N     - keep N old log files, NAME.log.1 and so on; 5 unless told
  --keep-output=DIR - where the last 64 KiB of each guest are kept for
                      "xl console --log", or "none"; ` + console.TailDir + ` unless told
`
