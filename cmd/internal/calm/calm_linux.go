package calm

import "syscall"

// slack is in nanoseconds.
const slack = "10000000"

// Go initialises packages in the order of their paths, as far as imports let it: this
// one, which imports hardly anything, comes before nearly all others.
var _ = watcher()

// watcher gives the watcher its slack. Kernels before 4.6 do not let it, nor any kernel
// somebody who is not root: then all stays as it is.
func watcher() (done bool) {
	tid, ok := secondThread()
	if !ok {
		return false
	}
	fd, err := syscall.Open("/proc/"+tid+"/timerslack_ns", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	n, err := syscall.Write(fd, []byte(slack))
	return syscall.Close(fd) == nil && err == nil && n == len(slack)
}

// secondThread returns the id of the thread that was started after the first one: the
// runtime starts its watcher before any other. The kernel lists threads in the order in
// which they were made. Source: Linux, fs/proc/base.c, next_tid.
func secondThread() (tid string, ok bool) {
	fd, err := syscall.Open("/proc/self/task", syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer syscall.Close(fd)
	var buf [512]byte
	n, err := syscall.ReadDirent(fd, buf[:])
	if err != nil {
		return "", false
	}
	_, _, names := syscall.ParseDirent(buf[:n], 2, nil) // "." and ".." are left out
	if len(names) < 2 {
		return "", false
	}
	return names[1], true
}
