package reply

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// What a transparent proxy intercepts: connections to a network of the operator's own, which the second ISP carries.
const (
	proxyPort    = 7100
	proxied4     = "198.18.88.0/24"
	proxied6     = "2001:db8:88::/64"
	divertMark   = "0x40000/0x40000"
	divertTable  = "100"
	intercepted4 = "198.18.88.9"
	intercepted6 = "2001:db8:88::9"
)

// A proxy's rules end the walk of the packets that they take. Above our jump they would keep them from their marks, and
// the proxy replies from addresses of no uplink: only the mark selects the reply path.
func TestTransparentProxyKeepsItsRulesAndItsReplies(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		for _, position := range []string{"-A", "-I"} {
			t.Run(map[string]string{"-A": "before apply", "-I": "inserted after apply"}[position], func(t *testing.T) {
				b := newProxied(t, backend)
				if position == "-I" {
					b.Apply()
				}
				divert(b, position)
				theirs := foreign(b)
				if backend == box.Nftables && position == "-I" { // it is before the proxy's rules in any case
					if !intercepted(t, b, box.EventualTimeout) {
						t.Error("the proxy's clients are not answered before another apply")
					}
				} else if intercepted(t, b, 300*time.Millisecond) {
					t.Error("the proxy's clients are answered without us above it: the test proves nothing")
				}
				if backend != box.Nftables || position == "-A" {
					b.Must(3, "plan")
				}
				b.Apply()
				if now := foreign(b); !slices.Equal(now, theirs) {
					t.Errorf("the proxy's rules were\n%s\nand are\n%s", strings.Join(theirs, "\n"), strings.Join(now, "\n"))
				}
				for _, family := range []int{4, 6} {
					if first := prerouting(b, family)[0]; backend != box.Nftables && first != "-A PREROUTING -j REPLYPATH-PRE" {
						t.Errorf("the first rule of the IPv%d chain is %q", family, first)
					}
				}
				p := b.RecordEgress()
				if !intercepted(t, b, box.EventualTimeout) {
					t.Error("the proxy's clients are not answered")
				}
				p.Settle()
				for _, a := range []string{intercepted4, intercepted6} {
					p.WantSymmetric(t, b.Uplinks[1], netip.MustParseAddr(a), 2)
				}
				p.WantRepliesFromAll(t, b.Client, world.Kinds)
			})
		}
	})
}

// newProxied returns a box with a transparent proxy, whose rules are not there yet, and a client that reaches what it
// intercepts by the second uplink.
func newProxied(t *testing.T, backend string) *box.Box {
	t.Helper()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), backend)
	box.ServeAll(b.Gateway)
	for i, network := range []string{proxied4, proxied6} {
		b.Delegate(b.Uplinks[1], netip.MustParsePrefix(network))
		version := []string{"-4", "-6"}[i]
		b.Gateway.Run("ip", version, "rule", "add", "fwmark", divertMark, "lookup", divertTable)
		b.Gateway.Run("ip", version, "route", "add", "local", "default", "dev", "lo", "table", divertTable)
		listenTransparently(t, b.Gateway, []string{"0.0.0.0", "::"}[i])
	}
	return b
}

// divert adds the proxy's rules as the kernel's own documentation of TPROXY has them.
func divert(b *box.Box, position string) {
	b.T.Helper()
	for family, network := range map[int]string{4: proxied4, 6: proxied6} {
		on := func(args ...string) { b.Iptables(family, append([]string{"-t", "mangle"}, args...)...) }
		on("-N", "DIVERT")
		on("-A", "DIVERT", "-j", "MARK", "--set-xmark", divertMark)
		on("-A", "DIVERT", "-j", "ACCEPT")
		rules := [][]string{
			{"-p", "tcp", "-m", "socket", "--transparent", "-j", "DIVERT"},
			{"-d", network, "-p", "tcp", "-j", "TPROXY", "--on-port", fmt.Sprint(proxyPort), "--tproxy-mark", divertMark},
		}
		if position == "-I" {
			slices.Reverse(rules)
		}
		for _, rule := range rules {
			on(append([]string{position, "PREROUTING"}, rule...)...)
		}
	}
}

// listenTransparently sends one line to every client, from the destination of its connection.
func listenTransparently(t *testing.T, h *world.Host, address string) {
	t.Helper()
	config := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
		var err error
		control := raw.Control(func(fd uintptr) {
			if network == "tcp4" {
				err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1)
			} else {
				err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1)
			}
		})
		if control != nil {
			return control
		}
		return err
	}}
	config.SetMultipathTCP(false)
	network := map[bool]string{true: "tcp4", false: "tcp6"}[address == "0.0.0.0"]
	var l net.Listener
	var err error
	h.Do(func() {
		l, err = config.Listen(context.Background(), network, net.JoinHostPort(address, fmt.Sprint(proxyPort)))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s, says the proxy\n", c.LocalAddr())
			c.Close()
		}
	}()
}

// intercepted connects to intercepted addresses of both families, and reports whether the proxy replied to all.
func intercepted(t *testing.T, b *box.Box, patience time.Duration) bool {
	t.Helper()
	var answered atomic.Int64
	var requested sync.WaitGroup
	for _, a := range []string{intercepted4, intercepted6} {
		requested.Go(func() {
			to := net.JoinHostPort(a, "80")
			output, err := read(b, to, patience)
			if output == to+", says the proxy\n" {
				answered.Add(1)
			} else {
				t.Logf("%s: %q, %v", to, output, err)
			}
		})
	}
	requested.Wait()
	return answered.Load() == 2
}

// read returns the line that the client gets from an address.
func read(b *box.Box, from string, patience time.Duration) (line string, err error) {
	var c net.Conn
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{Port: int(b.ClientPort())}}
	b.Client.Do(func() { c, err = dialer.DialContext(b.T.Context(), "tcp", from) })
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	return bufio.NewReader(c).ReadString('\n')
}

// prerouting returns the rules of the built-in chain, the policy left out.
func prerouting(b *box.Box, family int) []string {
	b.T.Helper()
	lines := strings.Split(strings.TrimSpace(b.Iptables(family, "-t", "mangle", "-S", "PREROUTING")), "\n")
	return lines[1:]
}

// foreign returns the rules of others in both families, in order.
func foreign(b *box.Box) []string {
	b.T.Helper()
	all := slices.Concat(prerouting(b, 4), prerouting(b, 6))
	return slices.DeleteFunc(all, func(rule string) bool { return strings.Contains(rule, "REPLYPATH") })
}
