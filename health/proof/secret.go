package proof

import (
	"bytes"
	"encoding/binary"
)

// Secret is a random value of one proof. Its requests carry it and their replies repeat it, so that a packet which another
// host forges with the peer's address is not taken for one of them.
type Secret [8]byte

// Sequence returns the initial sequence number of the requests by TCP; a reply acknowledges the next one (RFC 9293).
func (s Secret) Sequence() uint32 { return binary.BigEndian.Uint32(s[:]) }

// In reports whether the datagram has the secret.
func (s Secret) In(datagram []byte) bool { return bytes.Contains(datagram, s[:]) }

// The servers to which a datagram must make sense, and where the secret is in it.
const (
	domainPort, domainSecretAt = 53, 32
	timePort, timeSecretAt     = 123, 40
)

// SecretOffset returns the offset of the secret in the payload of a datagram for the server port.
func SecretOffset(port uint16) uint32 {
	switch port {
	case domainPort:
		return domainSecretAt
	case timePort:
		return timeSecretAt
	}
	return 0
}

// Datagram returns the payload of a datagram for the server port: for well-known ones a query that they answer.
func (s Secret) Datagram(port uint16) []byte {
	switch port {
	case domainPort: // for the name servers of the root (RFC 1035), with the secret as its cookie (RFC 7873)
		header := []byte{'r', 'p', 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1}
		question := []byte{0, 0, 2, 0, 1}
		option := []byte{0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8}
		return append(append(append(header, question...), option...), s[:]...)
	case timePort: // a client's request of NTP version 4 (RFC 5905), with the secret as its transmit timestamp
		return append(append([]byte{0x23}, make([]byte, timeSecretAt-1)...), s[:]...)
	}
	return append(s[:], "replypath proof"...)
}
