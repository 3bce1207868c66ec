package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"goxl/migrate/savefile"
	"goxl/migrate/stream"
)

// streamCommand is "xl stream verify <File>..." and "xl stream inspect <File>",
// which look into what xl save wrote, or what was caught of a migration, and "xl
// stream unpack <File> <To>", which makes a plain one of it. They need no Xen.
func streamCommand(a *app) *command {
	return a.new("stream", body{
		min: 2,
		run: func(ctx context.Context, args []string) error {
			switch verb, files := args[0], args[1:]; {
			case verb == "verify":
				return a.verifyStreams(files)
			case verb == "inspect" && len(files) == 1:
				return a.inspectStream(files[0])
			case verb == "unpack" && len(files) == 2:
				return a.unpackStream(ctx, files[0], files[1])
			}
			a.out.WriteString(helpCommand(a.release, "stream"))
			return &failure{status: 2, text: "'xl stream' takes verify and files, inspect and one file, or unpack and two."}
		},
	})
}

// verifyStreams says of each file whether it is sound. After a bad one the rest
// is still looked at.
func (a *app) verifyStreams(files []string) error {
	status := 0
	for _, file := range files {
		text, err := verifyStream(file)
		if err != nil {
			status = a.rep.report(err)
			continue
		}
		fmt.Fprintf(a.out, "%s: a sound stream: %s\n", file, text)
	}
	if status != 0 {
		return exitStatus(1)
	}
	return nil
}

func verifyStream(file string) (text string, err error) {
	err = withStream(file, func(r io.Reader, o stream.Options) error {
		s, err := stream.Verify(r, o)
		if err != nil {
			return err
		}
		text = s.String()
		if n, _ := io.ReadFull(r, make([]byte, 1)); n > 0 {
			text += "; more bytes follow its end, which a restore does not read"
		}
		return nil
	})
	return text, err
}

// unpackStream writes the plain stream of a file to another one, for the genuine tools.
// It is checked on the way, and the other file is there only if it is sound.
func (a *app) unpackStream(ctx context.Context, from, to string) error {
	f, err := createCheckpoint(to)
	if err != nil {
		return failf(err, "Failed to open temp file %s for writing", to)
	}
	err = withStream(from, func(r io.Reader, o stream.Options) error {
		out := bufio.NewWriterSize(f.writer(), 1<<20)
		if _, err := stream.Verify(io.TeeReader(r, out), o); err != nil {
			return err
		}
		return out.Flush()
	})
	if err == nil {
		err = f.commit(ctx)
	}
	if err != nil {
		return errors.Join(err, f.discard())
	}
	return nil
}

func (a *app) inspectStream(file string) error {
	return withStream(file, func(r io.Reader, o stream.Options) error {
		s, err := stream.Inspect(a.out, r, o)
		if err == nil {
			fmt.Fprintf(a.out, "\n%s\n", s)
		}
		return err
	})
}

// withStream opens file and has f read it. It may begin with the header of xl, of
// libxl or of libxc, may hold Remus' checkpoints, and may be packed.
func withStream(file string, f func(io.Reader, stream.Options) error) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	plain, err := savefile.Open(in)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r, layer, err := stream.Detect(plain)
	if err == nil {
		err = f(r, stream.Options{Outermost: layer, Checkpoints: stream.Remus, Strict: true})
	}
	if err == nil {
		err = plain.Finish()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
