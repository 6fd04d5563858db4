package icmp

import (
	"bytes"
	"crypto/rand"
	"net"
	"sync"
	"time"

	"replypath/health"
	"replypath/uplinks"

	"github.com/google/uuid"
	probing "github.com/prometheus-community/pro-bing"
)

// newPinger returns a pinger with the path's mark and source, the address that it sends to, which may be changed between
// two requests, and the UUID that its requests carry.
func newPinger(p health.Path) (pinger *probing.Pinger, dst *net.IPAddr, tracker uuid.UUID) {
	pinger, tracker = newTrackedPinger()
	dst = &net.IPAddr{IP: net.IPv6unspecified}
	if p.Family == uplinks.IPv4 {
		dst.IP = net.IPv4zero
	}
	pinger.SetIPAddr(dst)
	pinger.SetPrivileged(true)
	pinger.SetMark(uint(p.Mark))
	pinger.SetID(unusedID)
	pinger.Interval = time.Microsecond // OnSend paces the requests
	if p.Source.IsValid() {
		pinger.Source = p.Source.String()
	}
	return pinger, dst, tracker
}

// uuidSource serializes the use of the uuid package's global random source.
var uuidSource sync.Mutex

// newTrackedPinger returns a pinger and the UUID that its requests carry. pro-bing does not export that UUID, but takes it
// from the uuid package when the pinger is made: the same random octets give the same UUID. No other code of this program
// uses the uuid package.
func newTrackedPinger() (*probing.Pinger, uuid.UUID) {
	random := make([]byte, trackerLen)
	rand.Read(random) // never fails
	tracker, err := uuid.NewRandomFromReader(bytes.NewReader(random))
	if err != nil {
		panic(err) // a reader of 16 octets gives 16 octets
	}
	uuidSource.Lock()
	defer uuidSource.Unlock()
	uuid.SetRand(bytes.NewReader(random))
	defer uuid.SetRand(nil)
	return probing.New(""), tracker
}
