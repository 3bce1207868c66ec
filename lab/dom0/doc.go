// Package dom0 is what tests that run in a lab host's dom0 share: both toolstacks,
// guests to make with them, and a look at what they leave on the host. Its functions
// fail the test that calls them; what they need stands in the environment, see
// package suite.
package dom0
