package suite

import (
	"fmt"
	"strings"
	"testing"

	"goxl/lab"
)

func TestTallyCountsLeaves(t *testing.T) {
	const stream = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"run","Package":"p","Test":"TestA/two"}
{"Action":"output","Package":"p","Test":"TestA/two","Output":"two is wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA/two"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"run","Package":"p","Test":"TestC"}
{"Action":"pass","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
`
	var seen []Failure
	tally := NewTally(func(f Failure) { seen = append(seen, f) })
	got, err := tally.Add("here", strings.NewReader(stream))
	if want := (Result{2, 1, 1}); err != nil || got != want || tally.Result() != want {
		t.Errorf("Add = %v, %v, total %v, want %v", got, err, tally.Result(), want)
	}
	want := Failure{"here", "p", "TestA/two", "two is wrong\n"}
	if len(seen) != 1 || seen[0] != want {
		t.Errorf("failures %+v, want %+v", seen, want)
	}
	if got := fmt.Sprint(tally.Result()); got != "2 passed, 1 failed, 1 skipped" {
		t.Errorf("closing line %q", got)
	}
}

func TestTallyCountsWhatNoTestReported(t *testing.T) {
	for _, tt := range []struct{ name, stream, test, output string }{
		{"a package that does not build", `{"Action":"build-output","ImportPath":"p [p.test]","Output":"undefined: x\n"}
{"Action":"build-fail","ImportPath":"p [p.test]"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL p [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`, "", "undefined: x"},
		{"a host that died in a test", `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestHang"}`, "TestHang", "without a result"},
		{"a package that exits 1", `{"Action":"output","Package":"p","Output":"no TestMain\n"}
{"Action":"fail","Package":"p"}`, "", "no TestMain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tally := NewTally(nil)
			if _, err := tally.Add("here", strings.NewReader(tt.stream)); err != nil {
				t.Fatal(err)
			}
			failures := tally.Failures()
			if len(failures) != 1 || tally.Result() != (Result{Failed: 1}) {
				t.Fatalf("failures %+v, result %v", failures, tally.Result())
			}
			if f := failures[0]; f.Test != tt.test || !strings.Contains(f.Output, tt.output) {
				t.Errorf("failure %+v, want test %q with %q", f, tt.test, tt.output)
			}
		})
	}
}

func TestTallyIgnoresChatter(t *testing.T) {
	tally := NewTally(nil)
	got, err := tally.Add("here", strings.NewReader("go: downloading x\n{\"Action\":\"pass\",\"Package\":\"p\"}"))
	if err != nil || got != (Result{}) {
		t.Errorf("Add = %v, %v", got, err)
	}
}

func TestLabPackagesAreFoundByFileName(t *testing.T) {
	got, err := labPackages("/m", []listed{
		{ImportPath: "goxl/a", Dir: "/m/a", TestGoFiles: []string{"a_test.go"}},
		{ImportPath: "goxl/b/c", Dir: "/m/b/c", XTestGoFiles: []string{"x_test.go", "c_lab_test.go"}},
	})
	if want := (Package{"goxl/b/c", "b/c"}); err != nil || len(got) != 1 || got[0] != want {
		t.Fatalf("labPackages = %v, %v, want %v", got, err, want)
	}
	if got[0].binary() != "b_c.test" {
		t.Errorf("binary %s", got[0].binary())
	}
}

func TestCommandTellsTheTestWhereItIs(t *testing.T) {
	r := &runner{Options: Options{Limit: 60e9}}
	got := r.command(Targets()[1], Package{"goxl/b/c", "b/c"}, r.pattern())
	for _, want := range []string{
		"cd /opt/goxl/src/b/c && ", "XEN_TEST=require", "GOXL_MINI=/opt/goxl/mini/mini", "GOXL_XEN=4.14", "GENUINE_XL=/usr/lib/xen-4.14/bin/xl",
		"/mnt/payload/tests/b_c.test -test.run='^TestLab'", "-test.timeout=1m0s",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

func TestRedeem(t *testing.T) {
	tally := NewTally(nil)
	f := Failure{"Xen 4.17", "goxl/a", "TestLabX/pvh", "reset"}
	tally.Fail(f)
	tally.record(Record{"Xen 4.17", "goxl/a", "TestLabX", "fail", 0})
	tally.record(Record{"Xen 4.17", "goxl/a", "TestLabX/pvh", "fail", 0})
	tally.record(Record{"Xen 4.17", "goxl/a", "TestLabY", "fail", 0})
	if got := groups(tally.FailuresOf("Xen 4.17", "goxl/a")); len(got) != 1 || got[0] != "TestLabX" {
		t.Errorf("groups = %q, want TestLabX", got)
	}
	tally.Redeem(f)
	tally.Redeem(f) // a second time changes nothing
	if got, want := tally.Result(), (Result{Passed: 1}); got != want {
		t.Errorf("after Redeem the result is %v, want %v", got, want)
	}
	for i, want := range []string{"pass", "pass", "fail"} {
		if got := tally.Records()[i].Outcome; got != want {
			t.Errorf("record %d: %s, want %s", i, got, want)
		}
	}
}

func TestWanted(t *testing.T) {
	on414, on417, on420 := Target{Release: lab.Xen414, Store: "xenstored"}, Target{Release: lab.Xen417, Store: "oxenstored"}, Target{Release: lab.Xen420, Store: "oxenstored"}
	all := &runner{Options: Options{Packages: []string{allPackages}}}
	for _, tt := range []struct {
		dir  string
		want [3]bool // on 4.14, 4.17, 4.20
	}{
		{"lab/interop", [3]bool{true, true, true}},
		{"lab/move", [3]bool{true, true, true}},
		{"xenstore", [3]bool{true, true, false}},
		{"domains/host", [3]bool{false, true, false}},
	} {
		p := Package{"goxl/" + tt.dir, tt.dir}
		if got := [3]bool{all.wanted(on414, p), all.wanted(on417, p), all.wanted(on420, p)}; got != tt.want {
			t.Errorf("%s on 4.14, 4.17, 4.20: %v, want %v", tt.dir, got, tt.want)
		}
	}
	full := &runner{Options: Options{Packages: []string{allPackages}, Full: true}}
	if !full.wanted(on420, Package{"goxl/domains/host", "domains/host"}) {
		t.Error("the full matrix leaves domains/host out on 4.20")
	}
}

func TestGroup(t *testing.T) {
	for test, want := range map[string]string{
		"TestLabX":                       "TestLabX",
		"TestLabX/pvh":                   "TestLabX",
		"TestLabX/pvh/list_-c":           "TestLabX/pvh",
		"TestLabX/pvh/made_by_ours/list": "TestLabX/pvh/made_by_ours",
		"TestLabX/a/b/c/d":               "TestLabX/a/b",
		"TestLabX, TestLabY":             "",
	} {
		if got := group(test); got != want {
			t.Errorf("group(%q) = %q, want %q", test, got, want)
		}
	}
	if got, want := patternOf("TestLabX/a+b"), `^TestLabX$/^a\+b$`; got != want {
		t.Errorf("patternOf = %s, want %s", got, want)
	}
}

// TestTallyTellsOfPassedTests has what a test said be told when it passes, and no
// test's that has parts.
func TestTallyTellsOfPassedTests(t *testing.T) {
	const stream = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA/one","Output":"it took 3 ms\n"}
{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`
	var told []Failure
	tally := NewTally(nil)
	tally.onPass = func(f Failure) { told = append(told, f) }
	if _, err := tally.Add("host", strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	if want := (Failure{"host", "p", "TestA/one", "it took 3 ms\n"}); len(told) != 1 || told[0] != want {
		t.Errorf("told: %+v", told)
	}
}
