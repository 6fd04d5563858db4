package uplinks_test

import (
	"testing"

	"replypath/uplinks"
)

func TestTunablePath(t *testing.T) {
	for want, tunable := range map[string]uplinks.Tunable{
		"net/ipv4/tcp_fwmark_accept":          {Name: uplinks.FwmarkAccept},
		"net/ipv4/conf/eth1/src_valid_mark":   {Link: "eth1", Name: uplinks.SrcValidMark},
		"net/ipv4/conf/eth0.5/src_valid_mark": {Link: "eth0.5", Name: uplinks.SrcValidMark},
		"net/ipv4/conf/a.b.c/src_valid_mark":  {Link: "a.b.c", Name: uplinks.SrcValidMark},
		"net/ipv4/conf/wg-x_1/src_valid_mark": {Link: "wg-x_1", Name: uplinks.SrcValidMark},
	} {
		if got := tunable.Path(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSetTunableIsAShellCommand(t *testing.T) {
	for want, s := range map[string]uplinks.SetTunable{
		"sysctl -w net.ipv4.conf.eth1.src_valid_mark=1":   {Tunable: uplinks.Tunable{Link: "eth1", Name: uplinks.SrcValidMark}, Value: "1"},
		"sysctl -w net/ipv4/conf/eth0.5/src_valid_mark=1": {Tunable: uplinks.Tunable{Link: "eth0.5", Name: uplinks.SrcValidMark}, Value: "1"},
		"ip link set dev eth0.5 group 8200":               {Tunable: uplinks.Tunable{Link: "eth0.5", Name: uplinks.LinkGroup}, Value: "8200"},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
