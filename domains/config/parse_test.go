package config

import (
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestProblems checks what we say beyond xl: places, codes and hints.
func TestProblems(t *testing.T) {
	const guest = "name=\"g\"\ntype=\"pvh\"\nkernel=\"/k\"\n"
	for _, tt := range []struct {
		name, config string
		want         string // the problem in full
		code         string
	}{
		{"syntax", "name = \"g\"\nmemory = = 3\n",
			"f:2:10: syntax error, unexpected '=', expecting STRING or NUMBER or '[' near `='", CodeSyntax},
		{"bare word", "name = guest\n",
			"f:1:8: syntax error, unexpected IDENT, expecting STRING or NUMBER or '[' near `guest' (text must be in quotes; one assignment per line, or a ; between them)", CodeSyntax},
		{"carriage return", "name = \"g\"\r\n",
			"f:1:11: lexical error near `\r' (the file has Windows line ends; remove the carriage returns)", CodeSyntax},
		{"end of file", "disk = [ 'a',",
			"f:1:14: syntax error, unexpected $end, expecting ']' near the end of the file (the file ends too early: is a quote or a ] missing?)", CodeSyntax},
		{"missing name", "memory = 3\n", "f: Domain name must be specified", CodeMissing},
		{"disk", guest + "disk = ['/dev/x,xvda,w']\n",
			"f:4:1: disk `/dev/x,xvda,w': unknown value for format: near `xvda' (raw, qcow, qcow2, vhd, qed or empty; the order is target, format, vdev, access)", CodeDisk},
		{"action", guest + "on_crash = 'explode'\n", `f:4:1: Unknown on_crash action "explode" specified`, CodeValue},
		{"unknown key", guest + "memroy = 3\n", "f:4:1: `memroy' is not a known key (did you mean `memory'?)", CodeUnknownKey},
		{"wildly unknown key", guest + "qqqqqqqqqq = 3\n", "f:4:1: `qqqqqqqqqq' is not a known key", CodeUnknownKey},
		{"key for another kind", guest + "bios = 'ovmf'\n", "f:4:1: `bios' has no effect (it is for HVM guests only)", CodeUnusedKey},
		{"key without its partner", guest + "vnc = 1\n", "f:4:1: `vnc' has no effect (PVH guests have no display)", CodeUnusedKey},
		{"type", guest + "memory = [3]\n", "f:4:1: parameter `memory' is a list but should be a single value (it is ignored)", CodeType},
		{"silent in xl", guest + "max_grant_frames = 'x'\n", "f:4:1: max_grant_frames: parameter `max_grant_frames' is not a valid number", CodeValue},
		{"vif", guest + "vif = ['brigde=b']\n", "f: vif: unknown setting `brigde' (did you mean `bridge'?)", CodeVIF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, warnings, err := Parse("f", []byte(tt.config), Options{})
			var bad *Error
			if errors.As(err, &bad) {
				warnings = bad.Problems
			}
			if len(warnings) == 0 {
				t.Fatal("no problem")
			}
			if got := warnings[0]; got.String() != tt.want || got.Code != tt.code {
				t.Errorf("got  %s [%s]\nwant %s [%s]", got, got.Code, tt.want, tt.code)
			}
		})
	}
}

// TestKeysByRelease checks that a key means nothing before its release.
func TestKeysByRelease(t *testing.T) {
	for key, since := range keysSince {
		before := since
		before.Minor--
		for _, rel := range []Release{before, since} {
			conf := "name=\"g\"\ntype=\"hvm\"\n" + key + "=1\n"
			_, warnings, err := Parse("f", []byte(conf), Options{Release: rel})
			if err != nil {
				continue // it is known, and should not be 1
			}
			unused := false
			for _, w := range warnings {
				unused = unused || w.Code == CodeUnusedKey
			}
			if unused != (rel == before) {
				t.Errorf("%s in %v: unused is %v, it is known since %v", key, rel, unused, since)
			}
		}
	}
}

// TestEveryKeyIsRead finds keys in our tables that no guest reads.
func TestEveryKeyIsRead(t *testing.T) {
	for _, key := range knownKeys() {
		read := false
		for _, kind := range []string{"pv", "pvh", "hvm"} {
			for _, val := range []string{"1", `"x"`, "[]"} {
				conf := fmt.Sprintf("vnc=1\n%s=%s\nname=\"g\"\nkernel=\"/k\"\ntype=\"%s\"\n", key, val, kind)
				_, warnings, err := Parse("f", []byte(conf), Options{})
				if err != nil {
					read = true
					continue
				}
				ignored := false
				for _, w := range warnings {
					ignored = ignored || w.Line == 2 && (w.Code == CodeUnknownKey || w.Code == CodeUnusedKey)
				}
				read = read || !ignored
			}
		}
		if !read {
			t.Errorf("no guest reads %s", key)
		}
	}
}

// TestGrammarNeverHangs feeds random tokens to the parser, which must come back
// with values or with a report.
func TestGrammarNeverHangs(t *testing.T) {
	tokens := []string{"a", "b", "=", "+=", "[", "]", ",", "\n", ";", "1", `"x"`, `'y`, " ", "#c", "?", "\\", "\r", "\x00", `"\q"`}
	for seed := range int64(2000) {
		r := rand.New(rand.NewSource(seed))
		var src strings.Builder
		for range r.Intn(30) {
			src.WriteString(tokens[r.Intn(len(tokens))])
		}
		if p := parseSyntax("f", src.String()); p.failed && len(p.problems) == 0 {
			t.Errorf("%q failed without a word", src.String())
		}
	}
}

// TestOverridesContinueLines checks the numbers of lines from the command line.
func TestOverridesContinueLines(t *testing.T) {
	_, _, err := Parse("f", []byte("name=\"g\"\ntype=\"pv\""), Options{Overrides: []string{"memory=1", "kernel=/k"}})
	var bad *Error
	if !errors.As(err, &bad) || bad.Problems[0].Line != 4 || bad.Problems[0].Column != 8 {
		t.Errorf("got %v, want a problem at 4:8", err)
	}
}

func TestCPULists(t *testing.T) {
	host := Host{MaxCPUs: 16, MaxNodes: 64, NodeCPUs: []Bitmap{BitmapOf(0, 1, 2, 3), BitmapOf(8, 9)}}
	for _, tt := range []struct {
		text, want string
		err        bool
	}{
		{"0-3,5", "0-3,5", false},
		{"all", "all", false},
		{"all,^0", "1-15", false},
		{"^1", "none", false},
		{"nodes:0-1,^node:1", "0-3", false},
		{"node:1", "8-9", false},
		{"3,100,15", "3,15", false},
		{"", "none", false},
		{"14-99999999", "14-15", false},
		{"1-", "", true},
		{"3-1", "", true},
		{"^all", "", true},
		{"x", "", true},
		{"1 ", "", true},
	} {
		m, err := ParseCPUs(tt.text, host)
		if (err != nil) != tt.err {
			t.Errorf("%q: %v", tt.text, err)
		} else if got := FormatCPUs(m, 16); err == nil && got != tt.want {
			t.Errorf("%q: %s, want %s", tt.text, got, tt.want)
		}
	}
}

// TestCPUListRoundTrip reads back what FormatCPUs wrote.
func TestCPUListRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewBitmap(64)
		for _, i := range rapid.SliceOf(rapid.IntRange(0, 63)).Draw(t, "cpus") {
			m.Add(i)
		}
		text := FormatCPUs(m, 64)
		if text == "none" {
			return
		}
		back, err := ParseCPUs(text, Host{MaxCPUs: 64})
		if err != nil || !cmp.Equal([]byte(m), []byte(back)) {
			t.Fatalf("%s became %s, %v", text, FormatCPUs(back, 64), err)
		}
	})
}

func TestConf(t *testing.T) {
	c, warnings, err := ParseConf("xl.conf", []byte("autoballoon=\"off\"\nvif.default.bridge=\"br0\"\nvm.cpumask=\"0-1\"\nclaim_mode=0\nlockfil=\"/l\"\ngoxl.kernel_cache=\"off\"\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Autoballoon != False || c.VIFBridge.Value() != "br0" || c.ClaimMode || !c.RunHotplugScripts || c.LockFile != "/var/lock/xl" || c.KernelCache.Value() != "off" {
		t.Errorf("got %+v", c)
	}
	if len(warnings) != 1 || warnings[0].String() != "xl.conf:5:1: `lockfil' is not a known key (did you mean `lockfile'?)" {
		t.Errorf("warnings %v", warnings)
	}
}

func TestBalloonDom0(t *testing.T) {
	for _, tt := range []struct {
		cmdline  string
		old, now bool // 4.14, newest
	}{
		{"", true, true},
		{"dom0_mem=512M", false, false},
		{"console=com1 dom0_mem=min:1G,max:2G loglvl=all", false, false},
		{"dom0_mem=-1G", true, false},
		{"dom0_mem=10%", true, false},
		{"dom0_mem=512M+10%", true, false},
		{"dom0_mem=1T", true, false},
		{"xdom0_mem=512M", true, true},
		{"dom0_mem=lots", true, true},
	} {
		c := DefaultConf()
		if old, now := c.BalloonDom0(tt.cmdline, Oldest), c.BalloonDom0(tt.cmdline, Newest); old != tt.old || now != tt.now {
			t.Errorf("%q: %v and %v, want %v and %v", tt.cmdline, old, now, tt.old, tt.now)
		}
	}
	if c := (&Conf{Autoballoon: True}); !c.BalloonDom0("dom0_mem=1G", Newest) {
		t.Error("autoballoon=on does not win")
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range readCorpus(f) {
		for i, c := range file.cases {
			if i%5 == 0 {
				f.Add([]byte(c.config))
			}
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, rel := range []Release{Oldest, {4, 17}, Newest} {
			s, _, err := Parse("f", src, Options{Release: rel, Host: corpusHost})
			var bad *Error
			if err != nil {
				if !errors.As(err, &bad) || bad.Exit == 0 || bad.Problems[0].Msg == "" || bad.Code() == "" {
					t.Fatalf("%v: an error without content: %#v", rel, err)
				}
				continue
			}
			if _, err := DecodeJSON(s.AppendJSON(nil, rel)); err != nil {
				t.Fatalf("%v: %v", rel, err)
			}
		}
	})
}

func FuzzParseDisk(f *testing.F) {
	for _, s := range []string{"/dev/x,raw,xvda,rw", "format=qcow2,vdev=xvdb,target=/a,b", "phy:/dev/x,xvda,w", ",hdc:cdrom,r", "a=b", " \n,=", "target="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		for _, rel := range []Release{{4, 17}, Newest} {
			d, err := ParseDisk(rel, spec)
			if err == nil && (!d.VDev.IsSet() || d.Format == FormatUnknown) {
				t.Fatalf("%q: %+v", spec, d)
			}
		}
	})
}

func FuzzParseNIC(f *testing.F) {
	for _, s := range []string{"mac=00:16:3e:01:02:03", "rate=10Mb/s@20ms", "bridge=b", "type=vif", "devid=3", "trusted", "mac=1", "rate=0b/s@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, setting string) {
		for _, rel := range []Release{Oldest, Newest} {
			if _, _, err := ParseNIC(rel, nil, setting); err != nil && err.Error() == "" {
				t.Fatal("an error without content")
			}
		}
	})
}

func FuzzParsePCI(f *testing.F) {
	for _, s := range []string{"0000:03:10.2@8,permissive=1", "03:10.*", "name=x", "bdf=1:2.3,vslot=f", "::.", "03:10.2,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		for _, rel := range []Release{Oldest, Newest} {
			if dev, _, err := ParsePCI(spec, PCIDev{}, rel); err == nil && (dev.Func > 7 || dev.Domain > 0xffff) {
				t.Fatalf("%q: %+v", spec, dev)
			}
		}
	})
}
