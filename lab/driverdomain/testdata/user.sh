# What the guest knows whose devices are served, besides commands from its console.
mkfifo /tmp/never
dd if=/dev/urandom of=/tmp/d bs=64k count=8 2>/dev/null
up() {
	while [ ! -e /sys/class/net/eth0 ]; do sleep 0.2; done
	ip addr add 10.88.0.2/24 dev eth0 2>/dev/null
	ip link set eth0 up
	ping -c 2 -s 1400 10.88.0.1 | grep loss
}
upload() {
	echo "sent $(sha256sum </tmp/d)"
	nc 10.88.0.1 7000 </tmp/d
}
download() {
	echo "received $(nc 10.88.0.1 7001 <>/tmp/never | sha256sum)"
}
long() { # takes three seconds at least
	rm -f /tmp/long
	(for i in $(seq 30); do dd if=/dev/urandom bs=16k count=2 2>/dev/null; echo "part $i" >&2; sleep 0.1; done) |
		tee /tmp/long | nc 10.88.0.1 7000
	echo "sent $(sha256sum </tmp/long)"
}
fill() { # a disk, past the page cache
	while [ ! -e /dev/$1 ]; do sleep 0.2; done
	for i in $(seq 0 7); do
		dd if=/tmp/d of=/dev/$1 bs=64k count=1 skip=$i seek=$i oflag=direct conv=notrunc 2>/dev/null || echo "write BAD"
		echo "wrote $i"
		sleep 0.2
	done
	echo "$1 has $(sha256sum </tmp/d)"
}
look() {
	while [ ! -e /dev/$1 ]; do sleep 0.2; done
	echo "$1 shows $(dd if=/dev/$1 bs=64k count=8 iflag=direct 2>/dev/null | sha256sum)"
}
