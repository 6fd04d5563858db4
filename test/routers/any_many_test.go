package routers

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// manyRouters is the largest number of routers that are found.
const manyRouters = 250

// routerMAC returns the hardware address of one of many routers. Routers of several makers differ in all bytes.
func routerMAC(i int) net.HardwareAddr {
	return net.HardwareAddr{byte(i%5) << 2, byte(i), 0x5e, byte(i * 7), byte(i >> 2), byte(i * 31)}
}

// saveFound saves the first n of many routers on the link of an uplink, as a service does that has found them. Their ids begin with the
// largest one.
func (o *office) saveFound(t *testing.T, uplink string, n int) {
	t.Helper()
	type router struct {
		Uplink string `json:"uplink"`
		MAC    string `json:"mac"`
		ID     int    `json:"id"`
	}
	var all []router
	for i := range n {
		all = append(all, router{uplink, routerMAC(i).String(), 255 - i})
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(o.Dir, "state")
	if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, fmt.Sprintf("found-routers-%d.json", o.Gateway.NetnsCookie())), text, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// echoReplies receives the frames with echo replies that the gateway sends by a link.
type echoReplies struct {
	t  *testing.T
	fd int
}

// repliesAt receives at the other end of the gateway's link.
func repliesAt(t *testing.T, end *world.Link) echoReplies {
	t.Helper()
	r := echoReplies{t: t}
	var err error
	end.Host.Do(func() {
		all := uint16(unix.ETH_P_ALL)
		r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		err = errors.Join(err, unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
			unix.SetsockoptTimeval(r.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60}),
			unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: all<<8 | all>>8, Ifindex: end.Index}))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(r.fd) })
	return r
}

// next returns the hardware address to which the next reply is sent, and the number of its request.
func (r echoReplies) next() (to net.HardwareAddr, id uint16) {
	r.t.Helper()
	const network, at4, at6 = 14, 14 + 20, 14 + 40
	for {
		frame := make([]byte, 256)
		n, from, err := unix.Recvfrom(r.fd, frame, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			r.t.Fatalf("no reply: %v", err)
		}
		frame = frame[:n]
		at := -1
		switch sent := from.(*unix.SockaddrLinklayer); {
		case sent.Pkttype == unix.PACKET_OUTGOING:
		case n >= at4+8 && frame[network]>>4 == 4 && frame[network+9] == unix.IPPROTO_ICMP && frame[at4] == 0:
			at = at4
		case n >= at6+8 && frame[network]>>4 == 6 && frame[network+6] == unix.IPPROTO_ICMPV6 && frame[at6] == 129:
			at = at6
		}
		if at > 0 {
			return frame[:6], binary.BigEndian.Uint16(frame[at+4:])
		}
	}
}

// wantMany wants the reply to a ping by each of the routers, whose number begins the ping's, to leave by that one.
func (o *office) wantMany(t *testing.T, what string, frames *rawFrames, replies echoReplies, from []netip.Addr, routers []net.HardwareAddr, want func(i int) net.HardwareAddr) {
	t.Helper()
	wrong := 0
	for family, to := range o.to() {
		for i, mac := range routers {
			frames.ping(mac, from[family], to, uint16(i))
			if got, id := replies.next(); int(id) != i || !slices.Equal(got, want(i)) {
				if wrong++; wrong < 5 {
					t.Errorf("%s, to %s by router %d, %s: the reply to %d is sent to %s, want %s", what, to, i, mac, id, got, want(i))
				}
			}
		}
	}
	if wrong > 0 {
		t.Fatalf("%s: %d replies are wrong", what, wrong)
	}
}

// withoutMatchBPF calls do while the rules are those of an iptables without the match bpf, by which many routers are divided.
func (o *office) withoutMatchBPF(t *testing.T, do func()) {
	t.Helper()
	o.Env = append(os.Environ(), "XTABLES_LIBDIR="+box.ExtensionsWithout(t, "libxt_bpf.so"))
	o.Apply()
	if r := o.Must(0, "plan"); r.Stdout != "" || strings.Contains(o.rules(4)+o.rules(6), "-m bpf ") {
		t.Errorf("without the match bpf: plan: %s", r)
	}
	do()
	o.Env = nil
	o.Apply()
}

// Of as many routers as can be found, each gets the replies to what it sends: to the first packet of a connection, to the others, and to
// what another one has sent before. An unknown one takes no connection from them.
func TestManyRoutersGetTheirReplies(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		t.Parallel()
		o := newOffice(t, backend, "mask = 0xff00")
		o.configureAny()
		o.saveFound(t, "dsl", manyRouters)
		o.Apply()
		if r := o.Must(0, "plan"); r.Stdout != "" {
			t.Errorf("plan: %s", r)
		}
		text := o.rules(4) + o.rules(6)
		if tree := strings.Contains(text, "-m bpf "); tree != (backend != box.Nftables) {
			t.Errorf("the rules have a tree: %t", tree)
		}
		all := make([]net.HardwareAddr, manyRouters)
		for i := range all {
			all[i] = routerMAC(i)
		}
		other := o.Routers[1]
		from := []netip.Addr{other.Client4, other.Client6}
		gateway, err := net.ParseMAC(o.Routers[0].MAC)
		if err != nil {
			t.Fatal(err)
		}
		unknown := net.HardwareAddr{0, 0x1b, 0x21, 0x5e, 0x82, 0x10}
		others := slices.Concat(all[1:], all[:1])
		strangers := slices.Repeat([]net.HardwareAddr{unknown}, len(all))
		frames, replies := o.rawFramesTo(t, other), repliesAt(t, o.Port)
		own := func(i int) net.HardwareAddr { return all[i] }
		next := func(i int) net.HardwareAddr { return others[i] }
		o.wantMany(t, "first packets", frames, replies, from, all, own)
		o.wantMany(t, "later packets", frames, replies, from, all, own)
		o.wantMany(t, "by another router", frames, replies, from, others, next)
		o.wantMany(t, "by an unknown router, of a connection of a found one", frames, replies, from, strangers, next)
		for i := range from {
			from[i] = o.Routers[0].Client4
			if i == 1 {
				from[i] = o.Routers[0].Client6
			}
		}
		o.wantMany(t, "by an unknown router", frames, replies, from, strangers, func(int) net.HardwareAddr { return gateway })
		o.wantMany(t, "by the configured router", frames, replies, from, slices.Repeat([]net.HardwareAddr{gateway}, len(all)), func(int) net.HardwareAddr { return gateway })
		o.withoutMatchBPF(t, func() {
			o.wantMany(t, "one after the other", frames, replies, from, all, own)
		})
		o.saveFound(t, "dsl", 3)
		o.Apply()
		if text := o.rules(4) + o.rules(6); strings.Contains(text, "-m bpf ") || strings.Contains(strings.ToLower(text), all[3].String()) {
			t.Errorf("with few routers the rules are\n%s", text)
		}
		o.wantMany(t, "few routers", frames, replies, from, all[:3], own)
		o.Must(0, "flush")
		if left := o.Gateway.Run("ip", "neigh", "show", "nud", "permanent", "dev", "eth1"); left != "" {
			t.Errorf("flush has left:\n%s", left)
		}
	})
}
