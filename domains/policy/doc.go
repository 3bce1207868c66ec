// Package policy decides, and touches nothing: what a guest's CPUID shall say,
// on which NUMA nodes it is best placed, and how much memory it takes.
//
//	need := policy.NeedMemory(policy.Memory{Target: 262144, Paging: 6144, Container: true})
//	if free < need {
//		give := policy.Balloon(free, need)
//
// The answers are those of Xen's own tools (libxl), which users have tuned
// their hosts for. Facts about the host come in as values, so that everything
// here is tested without one.
package policy
