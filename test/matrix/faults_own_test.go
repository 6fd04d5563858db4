package matrix

import "replypath/test/box"

// ownFaults damage the objects of replypath. The service repairs them.
var ownFaults = []fault{
	{name: "the rule for the mark of eth1 is gone", each: "{ip} rule del fwmark 0x200/0x1f00 lookup 8202",
		lost: lost(1, dnatKinds...), cause: "rule-missing", service: repairs},
	{name: "the rule for the address of eth1 is gone", each: "{ip} rule del from {a1} lookup 8202", warns: "rule-missing", service: repairs},
	{name: "both rules of eth1 are gone", each: "{ip} rule del fwmark 0x200/0x1f00 lookup 8202; {ip} rule del from {a1} lookup 8202",
		lost: lost(1, allKinds...), cause: "rule-missing", service: repairs},
	{name: "all rules of replypath are gone", each: "for p in $({ip} rule | sed -n 's/^\\([23][0-9]*\\):.*/\\1/p' | grep -E '^[23][0-9]{3}$'); do {ip} rule del pref $p; done",
		lost: lost(1, allKinds...), cause: "rule-missing", service: repairs},
	{name: "the default route of eth1's table is gone", each: "{ip} route flush exact default dev eth1 table 8202",
		lost: lost(1, allKinds...), cause: "route-missing", service: repairs},
	{name: "the table of eth1 is empty", each: "{ip} route flush table 8202; {ip} route del unreachable default table 8202 2>&- || :",
		lost: lost(1, allKinds...), cause: "route-missing", service: repairs},
	{name: "the table of eth1 leads to eth0", each: "{ip} route replace default via {r0} table 8202",
		lost: lost(1, allKinds...), cause: "route-missing", service: repairs},
	{name: "the table of eth1 leads to another gateway", each: "{ip} route replace default via {other1} table 8202",
		lost: lost(1, allKinds...), cause: "route-missing", service: repairs},
	{name: "the jump in PREROUTING is gone", native: "nft '" + box.WithoutGate("prerouting") + "; flush chain inet replypath {f}-pre'", each: "{ipt} -t mangle -D PREROUTING -j REPLYPATH-PRE", warns: "mark-not-saved",
		lost: lost(1, dnatKinds...), cause: "mark-not-saved", service: repairs},
	{name: "the mark is not restored in PREROUTING", native: "nft '" + box.WithoutGate("prerouting") + "; flush chain inet replypath {f}-pre; add rule inet replypath {f}-pre iifgroup 8200 ct direction original iifname vmap @{f}-in-map'", each: "{ipt} -t mangle -D REPLYPATH-PRE 2", warns: "mark-not-restored",
		lost: lost(1, dnatKinds...), cause: "mark-not-restored", service: repairs},
	{name: "the jump in OUTPUT is gone", native: "nft '" + box.WithoutGate("output") + "; flush chain inet replypath {f}-out'", each: "{ipt} -t mangle -D OUTPUT -j REPLYPATH-OUT", warns: "mark-not-restored", service: repairs},
	{name: "the chain that saves marks is empty", native: "nft 'flush chain inet replypath {f}-in1; flush chain inet replypath {f}-in2'", each: "{ipt} -t mangle -F REPLYPATH-NEW", warns: "mark-not-saved",
		lost: lost(1, dnatKinds...), cause: "mark-not-saved", service: repairs},
	{name: "the mark of eth1 is not saved", native: "nft flush chain inet replypath {f}-in2", each: "{ipt} -t mangle -D REPLYPATH-NEW -i eth1 -j CONNMARK --set-xmark 0x200/0x1f00",
		lost: lost(1, dnatKinds...), cause: "mark-not-saved", service: repairs},
	{name: "eth1 has the mark of eth0", native: "nft 'flush chain inet replypath {f}-in2; add rule inet replypath {f}-in2 ct mark set ct mark & 0xffffe0ff | 0x100'", each: "{ipt} -t mangle -I REPLYPATH-NEW 1 -i eth1 -j CONNMARK --set-xmark 0x100/0x1f00; {ipt} -t mangle -D REPLYPATH-NEW -i eth1 -j CONNMARK --set-xmark 0x200/0x1f00",
		lost: lost(1, allKinds...), cause: "mark-not-saved", service: repairs},
	{name: "table mangle is flushed", native: "nft 'flush table inet replypath'", each: "{ipt} -t mangle -F", warns: "mark-not-saved", lost: lost(1, dnatKinds...), cause: "mark-not-saved", service: repairs},
	{name: "the source check is strict and ignores marks", only: 4, once: "sysctl -qw net.ipv4.conf.eth1.src_valid_mark=0 net.ipv4.conf.eth1.rp_filter=1",
		lost: lostIn(4, dnatKinds...), cause: "source-check", service: repairs},
}
