// Package suite runs every test of the module: those that need nothing with
// "go test", those that need a Xen host inside labs of every release.
//
// A test that needs a host is a function TestLab… in a file *_lab_test.go. Its
// package's test binary is built once, put on a read-only disk with our
// programs, and started in each lab's dom0. What all of them report ends in one
// [Tally].
//
//	result, err := suite.Run(ctx, suite.Options{Module: ".", Out: os.Stdout})
//	fmt.Println(result) // 310 passed, 0 failed, 4 skipped
package suite
