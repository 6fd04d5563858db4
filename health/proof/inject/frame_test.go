package inject

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
)

var (
	mac    = []byte{0x02, 0, 0, 0, 0, 0x07}
	addrs4 = FrameAddrs{mac, netip.MustParseAddrPort("203.0.113.254:4242"), netip.MustParseAddrPort("192.0.2.2:443"), nil}
	addrs6 = FrameAddrs{nil, netip.MustParseAddrPort("[2001:db8::fe]:4242"), netip.MustParseAddrPort("[2001:db8:b::2]:443"), nil}
)

func TestFramesHaveValidHeadersAndChecksums(t *testing.T) {
	for name, make := range map[string]func(FrameAddrs) []byte{
		"echo":     func(w FrameAddrs) []byte { return EchoRequest(w, []byte("secret")) },
		"syn":      func(w FrameAddrs) []byte { return SYN(w, 0xfffffffe) },
		"rst":      func(w FrameAddrs) []byte { return RST(w, 0xffffffff) },
		"udp":      func(w FrameAddrs) []byte { return UDP(w, []byte("even")) },
		"udp, odd": func(w FrameAddrs) []byte { return UDP(w, []byte("odd")) },
	} {
		t.Run(name, func(t *testing.T) {
			checkFrame(t, make(addrs4), mac, addrs4)
			checkFrame(t, make(addrs6), []byte{0, 0, 0, 0, 0, 0}, addrs6)
		})
	}
}

// checkFrame fails the test unless the frame's headers match the addresses and each checksum is correct: the sum of the octets
// that it covers, itself included, is all ones (RFC 1071).
func checkFrame(t *testing.T, frame, to []byte, w FrameAddrs) {
	t.Helper()
	if !bytes.Equal(frame[:6], to) {
		t.Errorf("destination MAC %x", frame[:6])
	}
	ip := frame[ethernetHeaderLen:]
	var proto byte
	var body []byte
	switch kind := binary.BigEndian.Uint16(frame[12:]); {
	case kind == 0x0800 && ip[0] == 0x45 && int(binary.BigEndian.Uint16(ip[2:])) == len(ip):
		if checksum(addWords(0, ip[:20])) != 0xffff {
			t.Errorf("wrong IP header checksum: %s", hex.EncodeToString(frame))
		}
		proto, body = ip[9], ip[20:]
	case kind == 0x86dd && ip[0] == 0x60 && 40+int(binary.BigEndian.Uint16(ip[4:])) == len(ip):
		proto, body = ip[6], ip[40:]
	default:
		t.Fatalf("wrong headers: %s", hex.EncodeToString(frame))
	}
	var pseudo uint32
	if proto != protoICMP {
		pseudo = addWords(addWords(uint32(proto)+uint32(len(body)), w.From.Addr().AsSlice()), w.To.Addr().AsSlice())
	}
	if checksum(addWords(pseudo, body)) != 0xffff {
		t.Errorf("wrong checksum: %s", hex.EncodeToString(frame))
	}
}

func TestPortIsWhereTheCaptureReadsIt(t *testing.T) {
	const v4, v6 = ethernetHeaderLen + 20, ethernetHeaderLen + 40
	for _, c := range []struct {
		frame []byte
		at    int
	}{{EchoRequest(addrs4, nil), v4 + 4}, {EchoRequest(addrs6, nil), v6 + 4}, {SYN(addrs4, 1), v4}, {SYN(addrs6, 1), v6}, {UDP(addrs4, nil), v4}} {
		if n := binary.BigEndian.Uint16(c.frame[c.at:]); n != 4242 {
			t.Errorf("port %d in %s, want 4242", n, hex.EncodeToString(c.frame))
		}
	}
}
