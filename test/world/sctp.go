package world

import (
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"net/netip"

	"golang.org/x/sys/unix"
)

// SCTP's chunks that open an association.
const (
	sctpInit    = 1
	sctpInitAck = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sctpPacket is the part of an SCTP packet that opens an association.
type sctpPacket struct {
	src, dst uint16
	tag      uint32 // the receiver's verification tag: 0 on an INIT
	chunk    byte
	initiate uint32 // the sender's own tag
}

// bytes returns the packet with its checksum. An INIT-ACK carries a state cookie, which it must.
func (p sctpPacket) bytes() []byte {
	b := make([]byte, 12, 64)
	binary.BigEndian.PutUint16(b, p.src)
	binary.BigEndian.PutUint16(b[2:], p.dst)
	binary.BigEndian.PutUint32(b[4:], p.tag)
	chunk := make([]byte, 20)
	chunk[0] = p.chunk
	binary.BigEndian.PutUint32(chunk[4:], p.initiate)
	binary.BigEndian.PutUint32(chunk[8:], 64<<10) // receiver window
	binary.BigEndian.PutUint16(chunk[12:], 1)     // streams out
	binary.BigEndian.PutUint16(chunk[14:], 1)     // streams in
	binary.BigEndian.PutUint32(chunk[16:], p.initiate)
	if p.chunk == sctpInitAck {
		chunk = append(chunk, 0, 7, 0, 8, 'c', 'o', 'o', 'k')
	}
	binary.BigEndian.PutUint16(chunk[2:], uint16(len(chunk)))
	b = append(b, chunk...)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b, castagnoli))
	return b
}

func parseSCTP(b []byte) (p sctpPacket, ok bool) {
	if len(b) < 32 {
		return p, false
	}
	p.src, p.dst = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	p.tag, p.chunk, p.initiate = binary.BigEndian.Uint32(b[4:]), b[12], binary.BigEndian.Uint32(b[16:])
	sum := binary.LittleEndian.Uint32(b[8:])
	zeroed := append([]byte(nil), b...)
	clear(zeroed[8:12])
	return p, sum == crc32.Checksum(zeroed, castagnoli)
}

// ServeSCTP answers SCTP's INIT on a port of all addresses of both families. It goes no further: the kernel may have
// no SCTP of its own.
func (h *Host) ServeSCTP(port uint16) *Service {
	h.world.tb.Helper()
	return h.serveRaw(SCTP, func(s *socket, to, from netip.Addr, data []byte) {
		if p, ok := parseSCTP(data); ok && p.chunk == sctpInit && p.dst == port {
			reply := sctpPacket{src: port, dst: p.src, tag: p.initiate, chunk: sctpInitAck, initiate: randomTag()}
			s.send(reply.bytes(), pktinfo(to), sockaddr(netip.AddrPortFrom(from, 0)))
		}
	})
}

func (h *Host) sendSCTP(q Request) Reply {
	s, err := h.open(q, unix.SOCK_RAW, SCTP)
	if err != nil {
		return Reply{Err: err}
	}
	defer s.close()
	own := randomTag()
	init := sctpPacket{src: q.From.Port(), dst: q.To.Port(), chunk: sctpInit, initiate: own}.bytes()
	return exchange{q, s, sockaddr(withoutPort(q.To)), init, func(m message) (Reply, bool) {
		data := afterHeader(m, q.To.Addr())
		p, ok := parseSCTP(data)
		if !ok || p.chunk != sctpInitAck || p.tag != own {
			return Reply{}, false
		}
		return Reply{From: netip.AddrPortFrom(addrPort(m.from).Addr(), p.src), Size: len(data)}, true
	}}.run()
}

// randomTag returns a tag that is not 0.
func randomTag() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:]) | 1
}
