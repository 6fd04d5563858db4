package rollback

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"replypath/marks"
	"replypath/uplinks"
)

// fileVersion is the version of both files. It grows with every change that an older program would misread.
const fileVersion = 1

// The names of the files in the state folder.
const (
	pendingName   = "rollback"
	confirmedName = "confirmed"
)

// pendingFile is the saved form of a pending change.
type pendingFile struct {
	Version    int            `json:"version"`
	Deadline   time.Duration  `json:"deadline_since_boot"` // nanoseconds
	Settings   savedSettings  `json:"settings"`
	Previous   *savedSettings `json:"previous,omitempty"`
	RolledBack bool           `json:"rolled_back,omitempty"`
}

// confirmedFile is the saved form of the settings that were committed last.
type confirmedFile struct {
	Version  int           `json:"version"`
	Settings savedSettings `json:"settings"`
}

// savedSettings is the saved form of uplinks.Settings.
type savedSettings struct {
	Mask      uint32        `json:"mask"`
	Priority  uint32        `json:"priority"`
	TableBase uint32        `json:"table_base"`
	Group     uint32        `json:"group"`
	Backend   string        `json:"backend"`
	Protect   bool          `json:"protect,omitempty"`
	Inside    []string      `json:"inside,omitempty"`
	Uplinks   []savedUplink `json:"uplinks,omitempty"`

	Interception *uplinks.Interception `json:"interception,omitempty"`
	UDP          *uplinks.UDPAnswers   `json:"udp,omitempty"`
	Accelerate   *uplinks.Acceleration `json:"accelerate,omitempty"`
	Outbound     uplinks.Outbound      `json:"outbound,omitzero"`
}

type savedUplink struct {
	Name     string       `json:"name"`
	ID       uint8        `json:"id"`
	Link     string       `json:"link"`
	Gateway4 savedGateway `json:"gateway4"`
	Gateway6 savedGateway `json:"gateway6"`
	WhenDown string       `json:"when_down"`
	VIPs     []netip.Addr `json:"vips,omitempty"`
	Routers  []netip.Addr `json:"routers,omitempty"`
	MACs     []string     `json:"mac,omitempty"`
	// AnyRouter is the value "any" among the routers.
	AnyRouter bool `json:"any_router,omitempty"`
}

type savedGateway struct {
	Auto bool       `json:"auto,omitempty"`
	Addr netip.Addr `json:"addr"`
}

func newSavedSettings(s uplinks.Settings) savedSettings {
	saved := savedSettings{
		Mask: uint32(s.Mask), Priority: uint32(s.Priority), TableBase: uint32(s.TableBase), Group: uint32(s.Group),
		Backend: string(s.Backend), Protect: s.Protect, Inside: slices.Clone(s.Inside),
		Interception: s.Interception, UDP: s.UDP, Accelerate: s.Accelerate, Outbound: s.Outbound,
	}
	for _, u := range s.Uplinks {
		saved.Uplinks = append(saved.Uplinks, savedUplink{u.Name, uint8(u.ID), u.Link, savedGateway(u.Gateway4), savedGateway(u.Gateway6), string(u.WhenDown), u.VIPs, u.Routers, u.MACs, u.AnyRouter})
	}
	return saved
}

func (s savedSettings) settings() uplinks.Settings {
	settings := uplinks.Settings{
		Mask: marks.Mask(s.Mask), Priority: uplinks.Priority(s.Priority), TableBase: uplinks.Table(s.TableBase), Group: uplinks.Group(s.Group),
		Backend: marks.Backend(s.Backend), Protect: s.Protect, Inside: slices.Clone(s.Inside),
		Interception: s.Interception, UDP: s.UDP, Accelerate: s.Accelerate, Outbound: s.Outbound,
	}
	for _, u := range s.Uplinks {
		settings.Uplinks = append(settings.Uplinks, uplinks.Uplink{Name: u.Name, ID: marks.ID(u.ID), Link: u.Link,
			Gateway4: uplinks.Gateway(u.Gateway4), Gateway6: uplinks.Gateway(u.Gateway6), WhenDown: uplinks.WhenDown(u.WhenDown), VIPs: u.VIPs, Routers: u.Routers, MACs: u.MACs, AnyRouter: u.AnyRouter})
	}
	return settings
}

// equal compares what is written to the file: an empty list and none are the same there.
func (s savedSettings) equal(other savedSettings) bool {
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
