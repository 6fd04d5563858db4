package doctor

import (
	"os"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// What others set up in files is seen below another root: the machine's own are not written.
func TestDoctorReadsHostFiles(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Apply()
	healthy := b.RunDoctor()
	cases := []struct {
		name         string
		files        map[string]string
		id, severity string // empty: nothing is found
		words        []string
	}{
		{"networkd that starts at boot", map[string]string{"/etc/systemd/system/multi-user.target.wants/systemd-networkd.service": ""},
			"networkd-foreign", box.IsWarning, []string{"starts at boot", "ManageForeignRoutes=no"}},
		{"networkd that runs", map[string]string{"/run/systemd/netif/links/2": ""}, "networkd-foreign", box.IsWarning, []string{"it runs"}},
		{"networkd with half of the settings", map[string]string{"/run/systemd/netif/links/2": "", "/etc/systemd/networkd.conf": "[Network]\nManageForeignRoutes=no\n"},
			"networkd-foreign", box.IsWarning, []string{"/etc/systemd/networkd.conf: ManageForeignRoutes=no"}},
		{"networkd overridden by a later file", map[string]string{"/run/systemd/netif/links/2": "", "/usr/lib/systemd/networkd.conf.d/10.conf": keepForeign,
			"/etc/systemd/networkd.conf.d/20.conf": "[Network]\nManageForeignRoutes = yes\n"}, "networkd-foreign", box.IsWarning, []string{"20.conf"}},
		{"networkd keeps foreign rules", map[string]string{"/run/systemd/netif/links/2": "", "/usr/lib/systemd/networkd.conf.d/10.conf": keepForeign}, "", "", nil},
		{"networkd's drop-in hidden", map[string]string{"/run/systemd/netif/links/2": "", "/usr/lib/systemd/networkd.conf.d/10.conf": keepForeign,
			"/etc/systemd/networkd.conf.d/10.conf": ""}, "networkd-foreign", box.IsWarning, nil},
		{"nftables.conf of the firewall saved by nft", map[string]string{"/etc/nftables.conf": savedByNFT,
			"/etc/systemd/system/sysinit.target.wants/nftables.service": ""}, "saved-ruleset", box.IsWarning, []string{"/etc/nftables.conf", "at every boot", "ct mark set ct mark", "5: "}},
		{"nftables.conf that nothing loads", map[string]string{"/etc/sysconfig/nftables.conf": savedByNFT}, "saved-ruleset", box.IsWarning, []string{"when it is loaded"}},
		{"a harmless nftables.conf", map[string]string{"/etc/nftables.conf": "flush ruleset\n# ct mark set ct mark\ntable inet filter {}\n"}, "", "", nil},
		{"nftables.conf with our table", map[string]string{"/etc/nftables.conf": "flush ruleset\ntable inet replypath {\n\tchain ip-in1 {\n\t\tct mark set ct mark & 0xffffe0ff | 0x00000100\n\t}\n}\ntable inet filter {\n}\n"},
			"saved-ruleset", box.IsNote, []string{"/etc/nftables.conf contains the table of replypath", "when it is loaded", "2: table inet replypath"}},
		{"iptables saved with ours", map[string]string{"/etc/iptables/rules.v6": "*mangle\n-A PREROUTING -j REPLYPATH-PRE\nCOMMIT\n",
			"/etc/systemd/system/multi-user.target.wants/netfilter-persistent.service": ""}, "saved-ruleset", box.IsNote, []string{"/etc/iptables/rules.v6", "at every boot"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			whole := b.T
			b.T = t
			defer func() { b.T = whole }()
			if err := os.RemoveAll(b.Root()); err != nil {
				t.Fatal(err)
			}
			for path, text := range c.files {
				b.WriteRootFile(path, text)
			}
			if c.id == "" {
				wantNewFindings(b, healthy, b.RunDoctor())
				return
			}
			d := b.RunDoctor()
			b.WantFinding(d, c.severity, c.id, append(c.words, fileRemedies[c.id+" "+c.severity])...)
			wantNewFindings(b, healthy, d, c.id)
		})
	}
}

// fileRemedies are what is to be done about files.
var fileRemedies = map[string]string{
	"networkd-foreign warning": "ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no in section [Network] of " + dropIn,
	"saved-ruleset warning":    "remove the tables of iptables (table ip mangle, table ip6 mangle), or those rules, from the file",
	"saved-ruleset note":       "save the firewall without them: replypath flush, save the firewall, replypath apply",
}

const keepForeign = "[Network]\nManageForeignRoutingPolicyRules=no\nManageForeignRoutes=no\n"

// savedByNFT is what nft(8) makes of rules of iptables.
const savedByNFT = `#!/usr/sbin/nft -f
flush ruleset
table ip mangle {
	chain REPLYPATH-PRE {
		ct mark and 0x1f00 != 0x0 counter packets 0 bytes 0 meta mark set ct mark
	}
	chain REPLYPATH-NEW {
		iifname "eth0" counter packets 0 bytes 0 ct mark set ct mark
	}
}
`

func TestDoctorNamesTheFileThatSetsASysctl(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Gateway.SetSysctl("net.ipv4.conf.all.src_valid_mark", "1")
	b.Gateway.SetSysctl("net.ipv4.conf.eth1.rp_filter", "1")
	b.WriteRootFile("/usr/lib/sysctl.d/50-default.conf", "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n")
	b.WriteRootFile("/etc/sysctl.d/60-vpn.conf", "# a VPN wants it\nnet/ipv4/conf/all/src_valid_mark=1\n")
	d := b.RunDoctor()
	b.WantFinding(d, box.IsWarning, "src-valid-mark-all", "src_valid_mark = 1, set in /etc/sysctl.d/60-vpn.conf")
	b.WantFinding(d, box.IsWarning, "rp-filter", "eth1: net.ipv4.conf.eth1.rp_filter = 1, set in /usr/lib/sysctl.d/50-default.conf", "replypath apply")
	b.WriteRootFile("/etc/sysctl.d/70.conf", "net.ipv4.conf.eth1.rp_filter = 1\n")
	b.WriteRootFile("/etc/sysctl.d/80.conf", "net.ipv4.conf.*.rp_filter = 0\n") // a name of its own wins over a pattern
	b.WantFinding(b.RunDoctor(), box.IsWarning, "rp-filter", "set in /etc/sysctl.d/70.conf")
	if f := b.RunDoctor().Of("src-valid-mark-all"); len(f) != 1 || f[0].Fixable {
		t.Errorf("what a file sets, and links check by, is not to be changed behind their backs: %+v", f)
	}
}
