package host

import (
	"fmt"
	"net/netip"
	"time"

	"replypath/cmd/internal/bpf"
	"replypath/uplinks"
)

// UDPLease is the time for which the programs of [udp] may choose an address. The service renews it at every observation of the
// whole host; a dead service renews nothing, and an address may be gone.
const UDPLease = 2 * time.Minute

// udpRetry is the time after which programs that the kernel refused are tried again.
const udpRetry = 10 * time.Minute

// udpAnswers reads and writes the programs of [udp]. It is used by the methods of Host of which one runs at a time.
type udpAnswers struct {
	want     *uplinks.UDPPrograms // nil: none
	programs *bpf.UDP             // nil: not opened
	refused  error                // why the programs of want cannot be used
	since    time.Time            // of refused
}

// set sets the programs that are wanted, nil for none.
func (u *udpAnswers) set(want *uplinks.UDPPrograms) {
	if want == nil || u.want == nil || *want != *u.want {
		u.refused = nil
	}
	u.want = want
}

// settings returns the settings of programs for the kernel.
func udpSettings(p uplinks.UDPPrograms) bpf.Settings {
	return bpf.Settings{Mask: uint32(p.Mask), Entries: p.Entries, Cgroup: p.Cgroup, OwnToo: p.OwnToo}
}

// open finds the place of the programs.
func (u *udpAnswers) open() error {
	if u.programs != nil {
		return nil
	}
	programs, err := bpf.OpenUDP()
	if err == nil {
		u.programs = programs
	}
	return err
}

// close ends the guard of the addresses; the programs stay.
func (u *udpAnswers) close() {
	if u.programs != nil {
		u.programs.Close()
	}
}

// read adds the programs and their addresses to the state, and to the facts why they cannot be used. With renew it guards
// the addresses, and renews the leases of those that the host has.
func (u *udpAnswers) read(facts *uplinks.Facts, state *uplinks.State, renew bool) error {
	if err := u.open(); err != nil {
		if u.want != nil {
			facts.UDPRefused = err.Error()
		}
		return nil
	}
	var want *bpf.Settings
	if u.want != nil {
		s := udpSettings(*u.want)
		want = &s
	}
	now, err := u.programs.Read(want)
	if err != nil {
		return fmt.Errorf("read the programs of [udp]: %w", err)
	}
	if want != nil && !now.Current {
		if u.refused == nil || time.Since(u.since) > udpRetry {
			u.refuse(u.programs.Check(*want))
		}
		if u.refused != nil {
			facts.UDPRefused = u.refused.Error()
		}
	}
	if now.Current && renew {
		if err := u.programs.Guard(); err != nil {
			return fmt.Errorf("guard the addresses of the programs of [udp]: %w", err)
		}
	}
	switch {
	case now.Current:
		state.UDPPrograms[*u.want] = true
	case now.Present:
		state.UDPPrograms[uplinks.UDPPrograms{}] = true
	}
	for a, left := range now.Addrs {
		if left <= 0 {
			continue
		}
		state.UDPAddrs[a] = true
		if renew && left < UDPLease*3/4 && hasAddr(*facts, a) {
			if err := u.programs.SetAddr(a, UDPLease); err != nil {
				return fmt.Errorf("renew the lease of %s for the programs of [udp]: %w", a, err)
			}
		}
	}
	return nil
}

// hasAddr reports whether the host has the address.
func hasAddr(f uplinks.Facts, a netip.Addr) bool {
	for _, l := range f.Links {
		for _, own := range l.Addrs {
			if own.Prefix.Addr() == a {
				return true
			}
		}
	}
	return false
}

// refuse keeps why the programs cannot be used, nil if they can.
func (u *udpAnswers) refuse(err error) { u.refused, u.since = err, time.Now() }

// attach attaches the programs and lets them choose the addresses, which a service guards. What the kernel refuses is not tried again for a while.
func (u *udpAnswers) attach(s uplinks.AttachUDP, guarded bool) error {
	if err := u.open(); err != nil {
		return err
	}
	if err := u.programs.Attach(udpSettings(s.Programs)); err != nil {
		u.refuse(err)
		return err
	}
	if guarded {
		if err := u.programs.Guard(); err != nil {
			return err
		}
	}
	for _, a := range s.Addrs {
		if err := u.allow(a); err != nil {
			return err
		}
	}
	return nil
}

// allow lets the programs choose the address.
func (u *udpAnswers) allow(a netip.Addr) error {
	if err := u.open(); err != nil {
		return err
	}
	return u.programs.SetAddr(a, UDPLease)
}

// forbid forbids the programs to choose the address.
func (u *udpAnswers) forbid(a netip.Addr) error {
	if err := u.open(); err != nil {
		return err
	}
	return u.programs.DropAddr(a)
}

// detach removes the programs.
func (u *udpAnswers) detach() error {
	if err := u.open(); err != nil {
		return err
	}
	return u.programs.Detach()
}

// AttachUDP attaches the programs of [udp].
func (w *stepWriter) AttachUDP(s uplinks.AttachUDP) {
	w.flush()
	w.errs = append(w.errs, w.host.udp.attach(s, w.host.isService))
}

// DetachUDP removes the programs of [udp].
func (w *stepWriter) DetachUDP() {
	w.flush()
	w.errs = append(w.errs, w.host.udp.detach())
}

// AllowUDPAddr lets the programs of [udp] choose the address.
func (w *stepWriter) AllowUDPAddr(a netip.Addr) {
	w.flush()
	w.errs = append(w.errs, w.host.udp.allow(a))
}

// ForbidUDPAddr forbids the programs of [udp] to choose the address.
func (w *stepWriter) ForbidUDPAddr(a netip.Addr) {
	w.flush()
	w.errs = append(w.errs, w.host.udp.forbid(a))
}
