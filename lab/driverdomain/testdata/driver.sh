# Runs in the driver domain before it takes commands from its console. There is no
# /dev/xen/privcmd, and nothing of Xen's tools.
for module in $(cat /extra/order); do
	insmod "/extra/$module"
done
ls /dev/xen
brctl addbr br0
brctl setfd br0 0
ip addr add 10.88.0.1/24 dev br0
ip link set br0 up
netback() {
	/netback --state-dir=/run/netback 2>>/netback.log &
	netback=$!
}
blkback() {
	/blkback --state-dir=/run/goxl/blkback --buffered 2>>/blkback.log &
	blkback=$!
}
devd() {
	/xl -v devd -p /run/devd.pid && echo "devd is up, exit $?"
}
self=$(/xenstore-read domid)
dd if=/dev/urandom of=/served bs=64k count=8 2>/dev/null
dd if=/dev/zero of=/d.img bs=64k count=64 2>/dev/null
mkfifo /never # who has an input that ends hangs up
while :; do echo "got $(nc -l -p 7000 <>/never | sha256sum)"; done &
while :; do nc -l -p 7001 </served; done &
netback
blkback
devd
