package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"goxl/migrate/direct"
	"goxl/migrate/lanes"
	"goxl/migrate/offer"
)

// directWay is what a command line says of the way for the guest itself.
type directWay struct {
	streams       int    // --streams; 0: over the -s command
	via           string // --via
	listen        string // --listen, of the receiver
	ca, cert, key string // --tls-ca, --tls-cert, --tls-key
}

// plainWord is what may stand in a shell command as it is.
const plainWord = `^[-\w.,:/\[\]]+$`

// option takes one. Letters of other options are passed over.
func (d *directWay) option(letter byte, arg string) error {
	for _, f := range []struct {
		letter byte
		name   string
		to     *string
	}{{viaLetter, "via", &d.via}, {listenLetter, "listen", &d.listen},
		{tlsCALetter, "tls-ca", &d.ca}, {tlsCertLetter, "tls-cert", &d.cert}, {tlsKeyLetter, "tls-key", &d.key}} {
		if f.letter != letter {
			continue
		}
		if ok, _ := regexp.MatchString(plainWord, arg); !ok {
			return saidf(nil, "--%s=%s: it takes letters, digits and any of -_.,:/[]", f.name, arg)
		}
		*f.to = arg
	}
	if letter == streamsLetter {
		n, err := strconv.ParseUint(arg, 10, 16)
		if err != nil || n < 1 || n > lanes.MostLanes {
			return saidf(err, "--streams=%s: it takes a number of connections, 1 to %d", arg, lanes.MostLanes)
		}
		d.streams = int(n)
	}
	return nil
}

// receiver is what of it the receiver has to know, as options.
func (d *directWay) receiver() (text string) {
	for _, f := range [][2]string{{"listen", d.listen}, {"tls-ca", d.ca}, {"tls-cert", d.cert}, {"tls-key", d.key}} {
		if f[1] != "" {
			text += " --" + f[0] + "=" + f[1]
		}
	}
	return text
}

// identity reads the certificates, if there are any.
func (d *directWay) identity() (direct.Identity, error) {
	if d.ca == "" && d.cert == "" && d.key == "" {
		return direct.Identity{}, nil
	}
	if d.ca == "" || d.cert == "" || d.key == "" {
		return direct.Identity{}, fmt.Errorf("--tls-ca, --tls-cert and --tls-key go together: with one of them all three are needed")
	}
	return direct.LoadIdentity(d.ca, d.cert, d.key)
}

// receiving is how the receiver goes it. Connection is what ssh says of its own, with
// the address that the sender has reached this host by.
func (d *directWay) receiving(connection string) (direct.Options, error) {
	id, err := d.identity()
	o := direct.Options{Identity: id, Listen: d.listen}
	if f := strings.Fields(connection); len(f) == 4 {
		o.Known = f[2]
	}
	return o, err
}

// directWay is how the sender goes it; nil: not at all. Where it was asked for and the
// receiver knows nothing of it, that is said.
func (a *app) directWay(o *migrating, answer *offer.Answer) (*direct.Options, error) {
	d := &o.direct
	if d.streams == 0 {
		if named := cmp.Or(d.via, d.receiver()); named != "" {
			return nil, fmt.Errorf("%s is of use only with --streams", strings.TrimSpace(named))
		}
		return nil, nil
	}
	if o.plain {
		return nil, errors.New("--plain and --streams exclude each other: the genuine stream goes over the -s command")
	}
	id, err := d.identity()
	if err != nil {
		return nil, err
	}
	if answer == nil || !answer.Speaks(direct.Name) {
		if id.Authority() {
			return nil, errors.New("--streams with --tls-ca: the other side does not take a guest directly, and nothing else is safe")
		}
		fmt.Fprintln(a.env.stderr, "warning: --streams: the other side does not take a guest directly, so it goes over the -s command")
		return nil, nil
	}
	return &direct.Options{Identity: id, Streams: d.streams, Via: d.via}, nil
}
