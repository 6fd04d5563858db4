#!/bin/sh
# keepalived runs this as root when the node's part changes: primary, backup, fault or stop. Mode 755.
#
# While the node is not in charge, the table pair holds what belongs to no connection: it is dropped, neither answered nor
# sent by the wrong uplink. A node that takes over keeps it until conntrackd has committed the connections of the other one.
# In charge, it only holds the middle of TCP connections that servers inside had with a lost node.
hold() {
	nft -f - <<EOF
table inet pair
delete table inet pair
table inet pair {
	chain forward {
		type filter hook forward priority -300; policy accept;
		$1
	}
}
EOF
}
sync="/usr/sbin/conntrackd -C /etc/conntrackd/conntrackd.conf"

case "$1" in
primary)
	$sync -c # commit
	$sync -R # read the kernel's table again
	hold 'iifname "lan0" ct state new tcp flags & (fin | syn | rst | ack) != syn drop'
	$sync -B # send it all to the other node
	;;
*)
	hold 'ct state new,invalid drop'
	$sync -n # ask the other node for all (never -t: it flushes later what has been copied since)
	;;
esac
exit 0
