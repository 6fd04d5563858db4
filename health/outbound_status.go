package health

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"replypath/uplinks"
)

// OutboundStatus is the state of outbound connections.
type OutboundStatus struct {
	Default   string                 `json:"default"`
	CountedAt time.Time              `json:"counted_at"` // of the numbers of connections; zero: not yet
	Policies  []PolicyStatus         `json:"policies"`
	Uplinks   []OutboundUplinkStatus `json:"uplinks"`
	Filters   []OutboundFilterStatus `json:"filters,omitempty"` // at egress; empty: there are none
}

// OutboundFilterStatus is about the filter at the egress of a link in one family.
type OutboundFilterStatus struct {
	Interface string         `json:"interface"`
	Family    uplinks.Family `json:"family"`
	Dropped   uint64         `json:"dropped"` // packets that no rule has translated
}

// PolicyStatus is what a policy uses in one family.
type PolicyStatus struct {
	Policy     string         `json:"policy"`
	Family     uplinks.Family `json:"family"`
	Tier       int            `json:"tier"` // from 1; 0: no uplink is usable
	LastResort string         `json:"last_resort"`
	Since      time.Time      `json:"since"`            // of the uplinks in use
	Reason     string         `json:"reason,omitempty"` // of the last change, for people; empty: none since the start
	Changes    int            `json:"changes"`          // since the start
	Members    []PolicyMember `json:"members"`
}

// PolicyMember is the part of an uplink in a policy.
type PolicyMember struct {
	Uplink       string              `json:"uplink"`
	Tier         int                 `json:"tier"` // from 1
	Weight       int                 `json:"weight"`
	State        uplinks.MemberState `json:"state"`
	SharePercent float64             `json:"share_percent"` // of new connections
}

// OutboundUplinkStatus is about the connections of an uplink in one family that began inside, of all policies together: a
// connection has the mark of its uplink, not of its policy.
type OutboundUplinkStatus struct {
	Uplink      string         `json:"uplink"`
	Family      uplinks.Family `json:"family"`
	Connections int            `json:"connections"` // that are pinned to it
	Moves       int            `json:"moves"`       // since the start
	Moved       int            `json:"moved"`       // connections and sockets, in all moves
	LastMove    *OutboundMove  `json:"last_move,omitempty"`
}

// OutboundMove is how the connections of an uplink were moved.
type OutboundMove struct {
	At           time.Time `json:"at"`
	Reason       string    `json:"reason"`       // for people
	Connections  int       `json:"connections"`  // without those of the second sweep; about
	Sockets      int       `json:"sockets"`      // of the host's own programs, which were ended
	SecondSweep  int       `json:"second_sweep"` // connections that had begun meanwhile
	Milliseconds float64   `json:"milliseconds"` // from At to the last write of the first sweep
	// SecondSweepMilliseconds is from At to the last write of the second sweep, or to its end if there is nothing to write.
	SecondSweepMilliseconds float64 `json:"second_sweep_milliseconds"`
}

// Text returns the numbers of the move, for people.
func (m OutboundMove) Text() string {
	text := fmt.Sprintf("%d connections", m.Connections+m.SecondSweep)
	if m.Sockets > 0 {
		text += fmt.Sprintf(" and %d of this host", m.Sockets)
	}
	return fmt.Sprintf("%s moved in %.0f ms", text, m.Milliseconds)
}

// InUse returns the members with a share.
func (p PolicyStatus) InUse() []PolicyMember {
	return slices.DeleteFunc(slices.Clone(p.Members), func(m PolicyMember) bool { return m.SharePercent == 0 })
}

// UplinksInUse returns the names of the members with a share, separated by commas; "none" if there is none.
func (p PolicyStatus) UplinksInUse() string {
	var names []string
	for _, m := range p.InUse() {
		names = append(names, m.Uplink)
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ",")
}

// Of returns the state of an uplink in a family.
func (o OutboundStatus) Of(uplink string, family uplinks.Family) OutboundUplinkStatus {
	for _, u := range o.Uplinks {
		if u.Uplink == uplink && u.Family == family {
			return u
		}
	}
	return OutboundUplinkStatus{Uplink: uplink, Family: family}
}

// withoutNulls returns a copy like Status.WithoutNulls.
func (o *OutboundStatus) withoutNulls() *OutboundStatus {
	if o == nil {
		return nil
	}
	c := *o
	c.Policies, c.Uplinks = slices.Clone(nonNil(o.Policies)), nonNil(o.Uplinks)
	for i, p := range c.Policies {
		c.Policies[i].Members = nonNil(p.Members)
	}
	return &c
}
