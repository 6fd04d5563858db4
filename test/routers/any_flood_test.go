package routers

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/health/proof/inject"
	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// rawFrames sends frames of Ethernet by a link of a host.
type rawFrames struct {
	t    *testing.T
	fd   int
	link int
	to   net.HardwareAddr
}

// rawFramesTo returns a sender by the router's link to the gateway.
func (o *office) rawFramesTo(t *testing.T, r *router) *rawFrames {
	t.Helper()
	return o.rawFramesBy(t, r.Link, "eth1")
}

// rawFramesBy returns a sender by a link to one of the gateway's.
func (o *office) rawFramesBy(t *testing.T, by *world.Link, to string) *rawFrames {
	t.Helper()
	f := &rawFrames{t: t, to: o.macOf(t, to), link: by.Index}
	var err error
	by.Host.Do(func() { f.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(f.fd) })
	return f
}

// macOf returns the hardware address of a link of the gateway.
func (o *office) macOf(t *testing.T, link string) net.HardwareAddr {
	t.Helper()
	_, behind, _ := strings.Cut(o.Gateway.Run("ip", "-o", "link", "show", "dev", link), "link/ether ")
	mac, err := net.ParseMAC(strings.Fields(behind + " none")[0])
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

// ping sends an echo request from a client by a router with the hardware address.
func (f *rawFrames) ping(mac net.HardwareAddr, from, to netip.Addr, id uint16) {
	f.t.Helper()
	echo := []byte{8, 0, 0, 0, byte(id >> 8), byte(id), 0, 1}
	var header []byte
	etherType := uint16(unix.ETH_P_IP)
	if from.Is4() {
		header = append(append([]byte{0x45, 0, 0, byte(20 + len(echo)), 0, 0, 0, 0, 64, unix.IPPROTO_ICMP, 0, 0}, from.AsSlice()...), to.AsSlice()...)
		binary.BigEndian.PutUint16(header[10:], checksum(header))
		binary.BigEndian.PutUint16(echo[2:], checksum(echo))
	} else {
		etherType, echo[0] = unix.ETH_P_IPV6, 128
		addresses := append(from.AsSlice(), to.AsSlice()...)
		header = append([]byte{0x60, 0, 0, 0, 0, byte(len(echo)), unix.IPPROTO_ICMPV6, 64}, addresses...)
		binary.BigEndian.PutUint16(echo[2:], checksum(slices.Concat(addresses, []byte{0, byte(len(echo)), 0, unix.IPPROTO_ICMPV6}, echo)))
	}
	frame := binary.BigEndian.AppendUint16(slices.Concat(f.to, mac), etherType)
	frame = slices.Concat(frame, header, echo)
	if err := unix.Sendto(f.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: f.link, Halen: 6}); err != nil {
		f.t.Fatal(err)
	}
}

// checksum returns the Internet checksum of bytes whose own checksum is zero.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// Frames from thousands of hardware addresses, all of them answered, take no id from a router with live connections, are not more
// routers than there are ids, and cost the service little.
func TestFloodOfForgedRoutersIsBounded(t *testing.T) {
	t.Parallel()
	o := newOffice(t, box.Backends[0])
	o.configureAny()
	box.ServeAll(o.Gateway)
	s := o.Start()
	other := o.Routers[1]
	o.awaitFound(t, other)
	held := o.hold(t, other, o.Addr4)
	frames := o.rawFramesTo(t, other)
	pid := s.Cmd.Process.Pid
	began, memory := box.CPUTicks(t, pid), box.Resident(t, pid)
	const everySecond, perTick = 4000, 40
	start, sent := time.Now(), 0
	ticker := time.NewTicker(time.Second * perTick / everySecond)
	defer ticker.Stop()
	box.Eventually(t, box.EventualTimeout, "all ids are in use", func() bool {
		for range everySecond {
			if sent++; sent%perTick == 0 {
				<-ticker.C
			}
			frames.ping(net.HardwareAddr{2, 0, 0, 0x0d, byte(sent >> 8), byte(sent)}, other.Client4, o.Addr4, uint16(sent))
		}
		return sent >= 3*everySecond && strings.Contains(s.Log.String(), "all ids for routers are in use")
	})
	took, ticks := time.Since(start), box.CPUTicks(t, pid)-began
	t.Logf("%d frames in %s: %d ticks of CPU time, %d KiB more", sent, took.Round(time.Millisecond), ticks, box.Resident(t, pid)-memory)
	if most := int(took.Seconds()*100) / 3; ticks > most {
		t.Errorf("the service takes %d ticks of CPU time, want %d at most", ticks, most)
	}
	found := o.ServiceStatus().Uplinks[1].FoundRouters
	if len(found) != 29 || !strings.Contains(fmt.Sprint(found), other.MAC) {
		t.Errorf("found %v", found)
	}
	if n := held.Alive(time.Minute); n != 1 {
		t.Error("the connection of the router that was found before does not go on")
	}
	o.wantFoundReplies(t, other)
	box.WantReplies(t, o.Routers[0].Client, o.Addr4, kinds)
	if log := s.Log.String(); strings.Count(log, "all ids for routers are in use") != 1 || !strings.Contains(log, "ids=29") {
		t.Errorf("that there is no id is said %d times", strings.Count(log, "all ids for routers are in use"))
	}
}

// Senders that are no router: the host's own hardware address, that of the frames that a proof injects, groups, and none.
func TestAddressesThatAreNoRoutersAreNotFound(t *testing.T) {
	t.Parallel()
	o, other := startAny(t, box.Backends[0])
	frames := o.rawFramesBy(t, o.Port, "eth1") // what comes in by another port with such a sender is dropped by the switch
	senders := []string{o.macOf(t, "eth1").String(), net.HardwareAddr(inject.SourceMAC[:]).String(), "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01", "00:00:00:00:00:00"}
	for i, text := range senders {
		for n := range 5 {
			frames.ping(mustMAC(t, text), other.Client4, o.Addr4, uint16(100*i+n))
		}
	}
	box.Eventually(t, box.EventualTimeout, "all have begun connections", func() bool {
		return strings.Count(o.Gateway.Run("conntrack", "-L", "-p", "icmp"), "src="+other.Client4.String()) >= 5*len(senders)
	})
	o.awaitFound(t, other) // what came before has been seen
	if found := o.ServiceStatus().Uplinks[1].FoundRouters; len(found) != 1 || found[0].MAC != other.MAC {
		t.Errorf("found %v", found)
	}
}

// A router that was found becomes that of a configured uplink, and is found again when the uplink is removed: its open connection goes on.
func TestFoundRouterBecomesConfiguredAndBack(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o, cable := startAny(t, backend)
		o.awaitFound(t, cable)
		held := o.hold(t, cable, o.Addr6)
		defer held.Close()
		for _, configured := range []bool{true, false} {
			if configured {
				o.configure(`routers = "any"`, "")
			} else {
				o.configureAny()
			}
			o.Must(0, "reload")
			if configured {
				box.Eventually(t, box.EventualTimeout, "the router is none that was found", func() bool {
					return len(o.ServiceStatus().Uplinks[1].FoundRouters) == 0
				})
				o.AwaitInSync()
				o.wantProof(t)
			} else {
				o.awaitFound(t, cable)
			}
			o.wantFoundReplies(t, cable)
			if n := held.Alive(time.Minute); n != 1 {
				t.Errorf("configured %t: the open connection does not go on", configured)
			}
			for _, to := range o.to() {
				box.WantReplies(t, o.Routers[0].Client, to, kinds)
			}
		}
	})
}

// UDP servers on the wildcard address answer from the address that was asked, by the router that asked.
func TestWildcardServerAnswersByFoundRouter(t *testing.T) {
	group := world.NewCgroup(t)
	box.EachFirewall(t, func(t *testing.T, backend string) {
		o := newOffice(t, backend, "[udp]", `answer = "asked"`, `cgroup = "`+group+`"`)
		o.Settings = append([]string{backend}, o.Settings[1:]...)
		o.configureAny()
		o.Gateway.ServeUDP(box.ServedPort, world.Wildcard)
		o.start(t)
		for _, to := range o.to() {
			box.Eventually(t, box.EventualTimeout, "the router is found", func() bool {
				q := box.NewRequest(world.KindUDP, to)
				q.NoResend, q.Timeout = true, 200*time.Millisecond
				return o.Routers[1].Client.Send(q).OK
			})
			box.WantReplies(t, o.Routers[1].Client, to, []world.Kind{world.KindUDP})
			box.WantReplies(t, o.Routers[0].Client, to, []world.Kind{world.KindUDP})
		}
	})
}
