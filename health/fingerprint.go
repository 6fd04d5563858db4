package health

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks"
)

// Fingerprint is what two nodes of a pair must have in common, as conntrackd copies the marks of connections from one to the
// other: the mask, the id of each uplink, and the numbers that follow from them. Interfaces, gateways and probes may differ.
type Fingerprint struct {
	Value       string              `json:"value"` // a hash of all other fields, which is the same on every host
	Mask        string              `json:"mask"`
	OutboundBit string              `json:"outbound_bit"`
	ProxyBit    string              `json:"proxy_bit,omitempty"` // of intercepted connections; empty: none are
	TableBase   uint32              `json:"table_base"`
	Uplinks     []FingerprintUplink `json:"uplinks"` // in the order of their ids
}

// FingerprintUplink is what the nodes must have in common of one uplink.
type FingerprintUplink struct {
	Name  string `json:"name"`
	ID    int    `json:"id"`
	Mark  string `json:"mark"`
	Table uint32 `json:"table"`
}

// NewFingerprint returns the fingerprint of the settings.
func NewFingerprint(s uplinks.Settings) Fingerprint {
	f := Fingerprint{Mask: s.Mask.String(), TableBase: uint32(s.TableBase), Uplinks: []FingerprintUplink{}}
	for _, b := range s.Blocks() {
		if b.Purpose == "outbound" {
			f.OutboundBit = b.ConnBits.String()
		}
	}
	if s.Interception != nil {
		f.ProxyBit = s.Interception.Bit.String()
	}
	for _, u := range s.Uplinks {
		f.Uplinks = append(f.Uplinks, FingerprintUplink{u.Name, int(u.ID), fmt.Sprintf("%#x", uint32(s.Mark(u))), uint32(s.Table(u))})
	}
	slices.SortFunc(f.Uplinks, func(a, b FingerprintUplink) int { return cmp.Compare(a.ID, b.ID) })
	f.Value = f.hash()
	return f
}

// hash returns the first 16 hexadecimal digits of the SHA-256 of the fields as text. It must not change between versions: the
// nodes of a pair are upgraded one after the other.
func (f Fingerprint) hash() string {
	var text strings.Builder
	fmt.Fprintf(&text, "mask %s\noutbound %s\ntables %d\n", f.Mask, f.OutboundBit, f.TableBase)
	if f.ProxyBit != "" {
		fmt.Fprintf(&text, "proxy %s\n", f.ProxyBit)
	}
	for _, u := range f.Uplinks {
		fmt.Fprintf(&text, "uplink %s %d %s %d\n", u.Name, u.ID, u.Mark, u.Table)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:8])
}

// PeerRemedy says what to do about a difference.
const PeerRemedy = "give both nodes the same mask, table_base and ids: otherwise replies leave by the wrong uplink after a take-over"

// Differences returns how the fingerprint of the peer differs, each as a line for people.
func (f Fingerprint) Differences(peer Fingerprint) (all []string) {
	compare := func(what string, here, there any) {
		if here != there {
			all = append(all, fmt.Sprintf("%s: %v here, %v on the peer", what, here, there))
		}
	}
	compare("mask", f.Mask, peer.Mask)
	compare("outbound bit", f.OutboundBit, peer.OutboundBit)
	compare("bit of intercepted connections", cmp.Or(f.ProxyBit, "none"), cmp.Or(peer.ProxyBit, "none"))
	compare("table_base", f.TableBase, peer.TableBase)
	for _, u := range f.Uplinks {
		i := slices.IndexFunc(peer.Uplinks, func(o FingerprintUplink) bool { return o.Name == u.Name })
		if i < 0 {
			all = append(all, fmt.Sprintf("uplink %s (id %d) is here only", u.Name, u.ID))
			continue
		}
		compare(fmt.Sprintf("id of uplink %s", u.Name), u.ID, peer.Uplinks[i].ID)
	}
	for _, u := range peer.Uplinks {
		if !slices.ContainsFunc(f.Uplinks, func(o FingerprintUplink) bool { return o.Name == u.Name }) {
			all = append(all, fmt.Sprintf("uplink %s (id %d) is on the peer only", u.Name, u.ID))
		}
	}
	return all
}
