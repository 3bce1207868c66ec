package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"goxl/lab"
)

// preludeFile has the shell function that measures: in dom0, without ssh's time and
// without starting a program that tells the time.
const preludeFile = "/tmp/bench.sh"

const prelude = `# us COMMAND...: run it and print how many microseconds it took
us() {
	local begin=$EPOCHREALTIME end status
	"$@" >/dev/null </dev/null 2>/tmp/bench.err
	status=$?
	end=$EPOCHREALTIME
	if [ $status -ne 0 ]; then
		echo "$*: exit $status" >&2
		tail -n 4 /tmp/bench.err >&2
		exit $status
	fi
	echo $((${end/./} - ${begin/./}))
}
# gone NAME...: wait until no domain of such a name is left, with what follows its death
gone() {
	local name tries
	for name; do
		for tries in $(seq 300); do
			xenstore-ls /vm | grep -q "name = \"$name\"" || break
			sleep 0.1
		done
	done
	sleep 0.5
}
`

// patience ends a script that hangs.
const patience = 10 * time.Minute

// sh runs a script in dom0's bash, where us and gone are known, and returns what
// it prints.
func (b *bench) sh(ctx context.Context, script string) (string, error) {
	return b.on(ctx, b.host, script)
}

// on is sh on any of the hosts.
func (b *bench) on(ctx context.Context, h *lab.Host, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := h.Output(ctx, "bash <<'EOF'\n. "+preludeFile+"\n"+script+"\nEOF")
	var exit *lab.ExitError
	if errors.As(err, &exit) { // else xenlab would end with the script's exit code, and say nothing
		err = errors.New(strings.TrimPrefix(err.Error(), exit.Command+": "))
	}
	return out, err
}

// times runs a script and returns the times that its calls of us took, in
// milliseconds.
func (b *bench) times(ctx context.Context, script string) ([]float64, error) {
	out, err := b.sh(ctx, script)
	if err != nil {
		return nil, err
	}
	var all []float64
	for word := range strings.FieldsSeq(out) {
		us, err := strconv.ParseUint(word, 10, 63)
		if err != nil {
			return nil, fmt.Errorf("times of %q: %w", script, err)
		}
		all = append(all, float64(us)/1000)
	}
	return all, nil
}

// measure runs one command, of ours or the genuine one, and adds its time to a row.
func (b *bench) measure(ctx context.Context, m metric, ours bool, command string) error {
	all, err := b.times(ctx, "us "+command)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%d times were measured", len(all))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.op, err)
	}
	b.rows.add(m, ours, all...)
	return nil
}
