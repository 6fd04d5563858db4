package uplinkstest

import (
	"fmt"
	"net/netip"

	"replypath/uplinks"
)

// AttachUDP replaces the programs of [udp].
func (w *fakeWriter) AttachUDP(s uplinks.AttachUDP) {
	clear(w.k.udpPrograms)
	w.k.udpPrograms[s.Programs] = true
	for _, a := range s.Addrs {
		w.k.udpAddrs[a] = true
	}
}

// DetachUDP removes the programs of [udp].
func (w *fakeWriter) DetachUDP() {
	clear(w.k.udpPrograms)
	clear(w.k.udpAddrs)
}

// AllowUDPAddr allows an address, if there are programs.
func (w *fakeWriter) AllowUDPAddr(a netip.Addr) {
	if len(w.k.udpPrograms) == 0 {
		w.err = fmt.Errorf("allow %s: no programs are attached", a)
		return
	}
	w.k.udpAddrs[a] = true
}

// ForbidUDPAddr forbids an address.
func (w *fakeWriter) ForbidUDPAddr(a netip.Addr) { delete(w.k.udpAddrs, a) }
